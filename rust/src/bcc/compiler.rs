//! The C compiler: where it is found, how it is run.
//!
//! It is a child process with a list of arguments (no shell), a clean environment and a time limit. `clang` with its
//! BPF target is one; the `ziglang` package brings another.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::sys;

/// The environment's word on which compiler to take.
pub(crate) const VARIABLE: &str = "RTRACE_CLANG";
/// The first release whose BPF target writes everything that is needed.
pub(crate) const OLDEST: u32 = 14;
/// Releases that are looked for by number.
const NEWEST: u32 = 40;
/// Emulated machines take seconds for what takes 50 ms elsewhere.
const TIME_LIMIT: Duration = Duration::from_mins(2);
/// Bytes of address space, twenty times what any program takes: macros within macros can ask for any amount.
const MEMORY_LIMIT: u64 = 2 << 30;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Clang,
    /// The one executable of the `ziglang` package, which has clang as `zig cc`.
    Zig,
}

/// A compiler on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

impl Compiler {
    /// Find a compiler; `zig` is asked for the `ziglang` package's executable when there is no clang.
    pub(crate) fn find(zig: impl FnOnce() -> Option<PathBuf>) -> Option<Self> {
        if let Some(named) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            let named = PathBuf::from(named);
            let path = if named.components().count() > 1 { named } else { on_path(&named)? };
            let is_zig = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("zig"));
            return Some(Self { kind: if is_zig { Kind::Zig } else { Kind::Clang }, path });
        }
        let clang = || -> Option<PathBuf> {
            let plain = on_path(Path::new("clang")).filter(|path| !is_too_old(path));
            plain.or_else(|| (OLDEST..=NEWEST).rev().find_map(|major| on_path(Path::new(&format!("clang-{major}")))))
        };
        let found = clang().map(|path| Self { kind: Kind::Clang, path });
        found.or_else(|| zig().map(|path| Self { kind: Kind::Zig, path }))
    }

    /// What tells this compiler from any other without running it.
    pub(crate) fn identity(&self) -> io::Result<String> {
        let found = fs::metadata(&self.path)?;
        Ok(format!("{} {} {}.{}", self.path.display(), found.len(), found.mtime(), found.mtime_nsec()))
    }

    /// Ask for its version: the first line that it prints.
    pub(crate) fn version(&self) -> io::Result<String> {
        let mut command = self.command();
        match self.kind {
            Kind::Clang => command.arg("--version"),
            Kind::Zig => command.arg("version"),
        };
        let output = command.stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
        Ok(match self.kind {
            Kind::Clang => text,
            Kind::Zig => format!("zig {text}"),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().env("LC_ALL", "C");
        // Where programs and libraries are is the user's business; what else changes what compilers do is not wanted.
        for variable in ["PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = env::var_os(variable) {
                command.env(variable, value);
            }
        }
        command
    }

    /// Compile the file `input` of `folder` to `output`; return what the compiler said, as an error if it failed.
    pub(crate) fn compile(
        &self,
        folder: &Path,
        input: &str,
        output: &str,
        flags: &[String],
    ) -> Result<String, Failure> {
        let log = folder.join("rtrace=log");
        let mut command = self.command();
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).map_err(Failure::Run)?);
        match self.kind {
            Kind::Clang => command.args(["-target", "bpfel"]),
            Kind::Zig => {
                // Its own caches would outlive the child in the user's home.
                command.env("ZIG_LOCAL_CACHE_DIR", folder.join("zig")).env("ZIG_GLOBAL_CACHE_DIR", folder.join("zig"));
                command.args(["cc", "-target", "bpfel-freestanding"])
            }
        };
        command.args(flags).args(["-c", input, "-o", output]);
        let status = run(&mut command)?;
        let said = String::from_utf8_lossy(&fs::read(&log).map_err(Failure::Run)?).into_owned();
        match status.signal() {
            Some(signal) => Err(Failure::Killed(signal, said)),
            None if status.success() => Ok(said),
            None => Err(Failure::Refused(said)),
        }
    }
}

/// Why there is no object.
pub(crate) enum Failure {
    /// The compiler could not be run, or its files not be read.
    Run(io::Error),
    /// It found errors.
    Refused(String),
    /// It crashed or was killed.
    Killed(i32, String),
    /// It took longer than any program does.
    Slow,
}

fn run(command: &mut Command) -> Result<std::process::ExitStatus, Failure> {
    let mut child = command.spawn().map_err(Failure::Run)?;
    sys::limit_memory(child.id(), MEMORY_LIMIT);
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::Run)? {
            return Ok(status);
        }
        if start.elapsed() > TIME_LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::Slow);
        }
        // Short beside the 25 ms that a compiler takes to start.
        thread::sleep(Duration::from_micros(500));
    }
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let is_executable =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0);
    env::split_paths(&env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(is_executable)
}

/// Whether the file behind a link says that it belongs to a release that is too old, as `/usr/lib/llvm-11/bin/clang`.
fn is_too_old(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let major = |part: &str| part.rsplit_once('-').and_then(|(_, number)| number.parse::<u32>().ok());
    path.iter().filter_map(|part| major(part.to_str()?)).any(|major| major < OLDEST)
}
