//! The C compiler: where it is found, how it is run.
//!
//! It is a child process with a list of arguments (no shell), a clean environment and a time limit. `clang` with its
//! BPF target is one; the `ziglang` package has the same in one executable without libraries, which starts in half the
//! time, and in a tenth of it on an emulated machine.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{error::Error, sys};

/// The environment's word on which compiler to take.
pub(crate) const VARIABLE: &str = "RTRACE_CLANG";
/// The first release whose BPF target writes everything that is needed.
pub(crate) const OLDEST: u32 = 14;
/// Releases that are looked for by number.
const NEWEST: u32 = 40;
// A name that no file of the program can get.
const LOG: &str = "rtrace=log";
/// Emulated machines take seconds for what takes 50 ms elsewhere.
const TIME_LIMIT: Duration = Duration::from_mins(2);
/// Bytes of address space, twenty times what any program takes: macros within macros can ask for any amount.
const MEMORY_LIMIT: u64 = 2 << 30;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Clang,
    /// The one executable of the `ziglang` package, which has clang as `zig clang`.
    Zig,
}

/// A compiler on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

impl Compiler {
    /// Find a compiler: what the environment names, else the `ziglang` package's executable, for which `zig` is asked,
    /// else a clang.
    pub(crate) fn find(zig: impl FnOnce() -> Option<PathBuf>) -> Result<Self, Absent> {
        if let Some(named) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            let named = PathBuf::from(named);
            let path = match named.components().count() {
                1 => on_path(&named).or_else(|| zig().filter(|_| named == Path::new("zig"))),
                _ => Some(named.clone()).filter(|path| is_executable(path)),
            };
            let path = path.ok_or(Absent::Named(named))?;
            let is_zig = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("zig"));
            return Ok(Self { kind: if is_zig { Kind::Zig } else { Kind::Clang }, path });
        }
        let clang = || -> Option<PathBuf> {
            let plain = on_path(Path::new("clang")).filter(|path| !is_too_old(path));
            plain.or_else(|| (OLDEST..=NEWEST).rev().find_map(|major| on_path(Path::new(&format!("clang-{major}")))))
        };
        let found = zig().map(|path| Self { kind: Kind::Zig, path });
        found.or_else(|| clang().map(|path| Self { kind: Kind::Clang, path })).ok_or(Absent::All)
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

    /// Start compiling to the file `output` in `folder`; the source comes when it is there, see [`Started::finish`].
    pub(crate) fn start(&self, folder: &Path, output: &str, flags: &[String]) -> Result<Started, Failure> {
        let log = folder.join(LOG);
        let mut command = self.command();
        if self.kind == Kind::Zig {
            command.arg("clang");
        }
        command.args(["-target", "bpfel"]).args(flags).args(["-x", "c", "-c", "-", "-o", output]);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(File::create(&log).map_err(Failure::Run)?);
        let begin = Instant::now();
        let child = Child(command.spawn().map_err(Failure::Run)?);
        sys::limit_memory(child.0.id(), MEMORY_LIMIT);
        Ok(Started { child, begin, log })
    }
}

/// Why there is no compiler.
#[derive(Debug)]
pub(crate) enum Absent {
    /// Neither clang nor zig is there.
    All,
    /// The environment names something that is no program.
    Named(PathBuf),
}

impl Absent {
    /// The error of what needs one.
    pub(crate) fn error(&self, operation: String) -> Error {
        let hint = match self {
            Self::All => format!("install clang {OLDEST} or newer, or `pip install rtrace[clang]`, or set {VARIABLE}"),
            Self::Named(named) => {
                format!("{VARIABLE} is `{}`, which is no program: unset or correct it", named.display())
            }
        };
        Error::NotSupported { operation, feature: "a C compiler", minimum_kernel: None, hint }
    }
}

/// A compiler that waits for its source, on its standard input.
pub(crate) struct Started {
    child: Child,
    begin: Instant,
    log: PathBuf,
}

/// A process that does not outlive its owner.
struct Child(process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // Of one that has been waited for, both do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    /// Give it the source and wait for the end; return what the compiler said, as an error if it failed.
    pub(crate) fn finish(mut self, source: &str) -> Result<String, Failure> {
        let input = self.child.0.stdin.take();
        let status = thread::scope(|scope| {
            // In a thread, because it may never read. If it ends before it has, its status and its words say why.
            scope.spawn(move || input.map(|mut input| input.write_all(source.as_bytes())));
            let status = wait(&mut self.child.0, self.begin);
            drop(self.child);
            status
        })?;
        let said = String::from_utf8_lossy(&fs::read(&self.log).map_err(Failure::Run)?).into_owned();
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

fn wait(child: &mut process::Child, begin: Instant) -> Result<process::ExitStatus, Failure> {
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::Run)? {
            return Ok(status);
        }
        if begin.elapsed() > TIME_LIMIT {
            return Err(Failure::Slow);
        }
        // Short beside the 25 ms that a compiler takes to start.
        thread::sleep(Duration::from_micros(500));
    }
}

fn on_path(name: &Path) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

/// Whether the file behind a link says that it belongs to a release that is too old, as `/usr/lib/llvm-11/bin/clang`.
fn is_too_old(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let major = |part: &str| part.strip_prefix("llvm-").or(part.strip_prefix("clang-"))?.parse::<u32>().ok();
    path.iter().filter_map(|part| major(part.to_str()?)).any(|major| major < OLDEST)
}
