//! `compile_c`: from C in bcc's dialect to the bytes of an object.

use std::{
    collections::HashSet,
    fmt::Write,
    fs, io, mem,
    path::{Path, PathBuf},
    str::FromStr,
};

use log::{debug, info};

use super::{
    cache::{Cache, Key},
    compiler::{Compiler, Failure, Kind},
    diagnostics::{self, Diagnostic, Named},
    kernel_config,
    kernel_identity::Kernel,
    kernel_types, lexer,
    prelude::{self, Names},
    scan::{Scan, Tracepoint},
    source::{Folders, Program, Unit},
    source_text,
    tracepoint_struct::{self, Missing},
    way_out,
};
use crate::{error::Error, sys};

const TARGET: &str = "rtrace::bcc";
// A name that no file of the program can get, see `compiled_name`.
const OUTPUT: &str = "rtrace=output.o";

/// What a program is compiled with, the same for all.
const FLAGS: [&str; 26] = [
    "-O2",
    "-g",
    "-nostdinc",
    "-mcpu=v2",
    "-fno-delete-null-pointer-checks",
    "-fno-strict-aliasing",
    "-fno-stack-protector",
    // Objects know nothing of the temporary folder that they were made in.
    "-fdebug-compilation-dir=.",
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-ferror-limit=20",
    "-D__KERNEL__",
    "-D__BPF_TRACING__",
    // What compilers refuse or not, depending on their age.
    "-Werror=implicit-function-declaration",
    "-Wno-int-conversion",
    "-Wno-incompatible-pointer-types",
    // What the dialect does all the time.
    "-Wno-pointer-sign",
    "-Wno-unused",
    "-Wno-address-of-packed-member",
    "-Wno-compare-distinct-pointer-types",
    "-Wno-duplicate-decl-specifier",
    "-Wno-gnu-variable-sized-type-not-at-end",
    "-Wno-macro-redefined",
    "-Wno-missing-declarations",
    "-Wno-visibility",
    "-Wno-unknown-warning-option",
];

#[cfg(target_arch = "x86_64")]
const MACHINE: &str = "-D__x86_64__";
#[cfg(target_arch = "aarch64")]
const MACHINE: &str = "-D__aarch64__";

/// What `compile_c` is asked for.
pub(crate) struct Request<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) name: &'a str,
    pub(crate) include_dirs: Vec<PathBuf>,
    pub(crate) cflags: Vec<String>,
    pub(crate) cache: bool,
    /// Changes whenever rtrace itself does.
    pub(crate) version: String,
}

/// Compile a program, or take what was compiled before.
pub(crate) fn compile(request: &Request<'_>, zig: impl FnOnce() -> Option<PathBuf>) -> Result<Vec<u8>, Error> {
    let system = |operation: &str| {
        let operation = format!("compile `{}`: {operation}", request.name);
        move |source: io::Error| Error::System { operation, source }
    };
    let program = rewrite(request)?;
    let compiler = find_compiler(request, zig)?;
    let kernel = Kernel::running().map_err(system("ask which kernel is running"))?;
    let cpus = sys::possible_cpus().unwrap_or(1);
    let identity = compiler.identity().map_err(system("look at the compiler"))?;
    let key = key(request, &program, &kernel, &identity, cpus);
    let cache = request.cache.then(Cache::of_user).flatten();
    if let Some(object) = cache.as_ref().and_then(|cache| cache.get(&key)) {
        debug!(target: TARGET, "`{}` was compiled before: {key}", request.name);
        return Ok(object);
    }
    let object = build(request, &program, &compiler, &kernel, cpus, &[])?;
    if let Some(cache) = cache {
        cache.put(&key, &object);
    }
    Ok(object)
}

/// Return the rewritten text of a program and its own headers, each behind a line with its name.
pub(crate) fn show_rewritten(request: &Request<'_>) -> Result<String, Error> {
    let named = |unit: Unit| format!("// {}\n{}\n", unit.name, unit.rewritten);
    Ok(rewrite(request)?.units.into_iter().map(named).collect())
}

/// Return what the compiler's first half makes of a program.
pub(crate) fn show_llvm(request: &Request<'_>, zig: impl FnOnce() -> Option<PathBuf>) -> Result<String, Error> {
    let (program, compiler) = (rewrite(request)?, find_compiler(request, zig)?);
    let failed = |source| Error::System { operation: format!("compile `{}`", request.name), source };
    let kernel = Kernel::running().map_err(failed)?;
    let cpus = sys::possible_cpus().unwrap_or(1);
    let text = build(request, &program, &compiler, &kernel, cpus, &["-S", "-emit-llvm"])?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn rewrite(request: &Request<'_>) -> Result<Program, Error> {
    let mut include_dirs = request.include_dirs.clone();
    include_dirs.extend(folders_of(&request.cflags));
    Program::rewrite(request.source, request.name, &Folders { include_dirs: &include_dirs })
        .map_err(|diagnostic| refused(request, vec![diagnostic], String::new(), None))
}

fn find_compiler(request: &Request<'_>, zig: impl FnOnce() -> Option<PathBuf>) -> Result<Compiler, Error> {
    Compiler::find(zig).map_err(|absent| absent.error(format!("compile `{}`", request.name)))
}

fn key(request: &Request<'_>, program: &Program, kernel: &Kernel, compiler: &str, cpus: usize) -> String {
    let mut key = Key::new();
    for piece in [&request.version, request.name, &kernel.identity(), compiler, &cpus.to_string()] {
        key.add(piece);
    }
    request.cflags.iter().for_each(|flag| key.add(flag));
    for unit in &program.units {
        key.add(&unit.name);
        key.add(&unit.source);
    }
    key.finish()
}

/// The folders that `-I` names.
fn folders_of(cflags: &[String]) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut flags = cflags.iter();
    while let Some(flag) = flags.next() {
        match flag.strip_prefix("-I") {
            Some("") => folders.extend(flags.next().map(PathBuf::from)),
            Some(folder) => folders.push(PathBuf::from(folder)),
            None => {}
        }
    }
    folders
}

fn build(
    request: &Request<'_>,
    program: &Program,
    compiler: &Compiler,
    kernel: &Kernel,
    cpus: usize,
    more_flags: &[&str],
) -> Result<Vec<u8>, Error> {
    let system = |operation: &'static str| {
        let operation = format!("compile `{}`: {operation}", request.name);
        move |source: io::Error| Error::System { operation: operation.clone(), source }
    };
    let folder = tempfile::Builder::new().prefix("rtrace-").tempdir().map_err(system("make a temporary folder"))?;
    write_files(folder.path(), program).map_err(system("write a temporary file"))?;
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(MACHINE.to_owned());
    if compiler.kind == Kind::Zig {
        // A new clang makes `r6 & 127` of an index that was compared with 69. Without instructions for 32 bits the
        // comparison is of a copy, which the verifier does not take for the index; with them it is of `w6`, and what
        // [`super::masks`] makes of the mask keeps what is known of that.
        flags.push("-mcpu=v3".to_owned());
    }
    flags.extend(request.cflags.iter().cloned());
    flags.extend(more_flags.iter().map(|flag| (*flag).to_owned()));
    let start = || compiler.start(folder.path(), OUTPUT, &flags);
    // Compilers take as long to start as the kernel's types to read: both at once.
    let started = start();
    let front = front(program, kernel, cpus, &request.cflags)?;
    let mut result = started.and_then(|started| started.finish(&front.input(program, front.needed.as_deref())));
    if let (Err(Failure::Refused(_)), Some(_)) = (&result, &front.needed) {
        // What is left out may be missing after all, or be what the compiler would say was meant.
        debug!(target: TARGET, "`{}` does not compile: once more with the whole prelude", request.name);
        result = start().and_then(|started| started.finish(&front.input(program, None)));
    }
    let hint = front.hint;
    let failed = |diagnostics, log, hint| refused(request, diagnostics, log, hint);
    let said = |message: String| {
        let (file, severity) = (request.name.to_owned(), "error".into());
        vec![Diagnostic { file, line: 0, column: 0, severity, message, shown: None }]
    };
    let names = |log: &str| {
        let named: Vec<_> = program
            .units
            .iter()
            .map(|unit| Named {
                compiled_as: &unit.compiled_as,
                name: &unit.name,
                source: &unit.source,
                edits: &unit.edits,
                marks: &unit.marks,
            })
            .collect();
        diagnostics::parse(log, &named)
    };
    match result {
        Ok(log) => {
            for warning in names(&log).iter().filter(|found| found.severity == "warning") {
                info!(target: TARGET, "{}:{}:{}: {}", warning.file, warning.line, warning.column, warning.message);
            }
            fs::read(folder.path().join(OUTPUT)).map_err(system("read the object"))
        }
        Err(Failure::Run(error)) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(Error::Value(format!("compile `{}`: a flag with a NUL character", request.name)))
        }
        Err(Failure::Run(error)) => Err(system("run the compiler")(error)),
        Err(Failure::Slow) => Err(failed(said("the compiler did not come to an end".into()), String::new(), hint)),
        Err(Failure::Killed(signal, log)) => {
            Err(failed(said(format!("the compiler was ended by signal {signal}")), log, hint))
        }
        Err(Failure::Refused(log)) => {
            let mut found = names(&log);
            for diagnostic in &mut found {
                way_out::reword(diagnostic, program);
            }
            let first = found.iter().find(|diagnostic| diagnostic.severity == "error");
            let hint = first.and_then(|first| way_out::of_error(first, program)).or(hint);
            if !found.iter().any(|diagnostic| diagnostic.severity == "error") {
                found = said(log.lines().next().unwrap_or("the compiler failed").to_owned());
            }
            Err(failed(found, log, hint))
        }
    }
}

/// Make the error of a program that does not compile.
fn refused(request: &Request<'_>, diagnostics: Vec<Diagnostic>, log: String, hint: Option<String>) -> Error {
    let first = diagnostics.iter().find(|diagnostic| diagnostic.severity == "error");
    let excerpt = first.and_then(|first| {
        let (text, _) = source_text::decode(request.source);
        diagnostics::excerpt(&text, first.shown?, first.column)
    });
    Error::Compile { name: request.name.to_owned(), diagnostics, excerpt, log, hint }
}

/// What stands in front of a program.
struct Front {
    /// What comes before the prelude's headers: base types, the kernel's, and its configuration.
    before: String,
    /// What the program needs of the prelude's headers, in their order; `None` if that is all of them.
    needed: Option<Vec<String>>,
    /// All of them.
    whole: Vec<String>,
    /// What comes behind them.
    behind: String,
    /// What may be said if it does not compile.
    hint: Option<String>,
}

impl Front {
    /// Put it before the program's own file, with these headers or with the whole ones.
    fn input(&self, program: &Program, headers: Option<&[String]>) -> String {
        let headers = headers.unwrap_or(&self.whole);
        let mut text = String::with_capacity(self.before.len() + (80 << 10));
        text.push_str(&self.before);
        for (header, body) in prelude::HEADERS.iter().zip(headers) {
            section(&mut text, header.name, body);
        }
        text.push_str(&self.behind);
        if let Some(unit) = program.units.first() {
            section(&mut text, &unit.compiled_as, &unit.rewritten);
        }
        section(&mut text, diagnostics::END, prelude::END);
        text
    }
}

/// Gather what stands in front of the program.
fn front(program: &Program, kernel: &Kernel, cpus: usize, cflags: &[String]) -> Result<Front, Error> {
    let mut scan = Scan::default();
    for unit in &program.units {
        scan.add(&unit.source, &unit.tokens);
    }
    // `-DKEY=task_struct`: what is no C at all, the compiler refuses.
    for flag in cflags {
        scan.add(flag, &lexer::tokens(flag).unwrap_or_default());
    }
    let names = Names::read(!program.bcc_headers.is_empty());
    let (structs, wanted, hint) = tracepoint_structs(&scan);
    let mut request = kernel_types::Request {
        identifiers: mem::take(&mut scan.identifiers),
        tags: mem::take(&mut scan.tags),
        own_tags: mem::take(&mut scan.own_tags),
        own_names: mem::take(&mut scan.own_names),
    };
    let iterators: Vec<String> = scan.iterators.iter().map(|target| format!("bpf_iter__{target}")).collect();
    request.tags.extend(iterators.iter().map(String::as_str));
    request.identifiers.extend(iterators.iter().map(String::as_str));
    names.expand(&mut request.identifiers);
    let options: HashSet<&str> =
        request.identifiers.iter().copied().filter(|name| name.starts_with("CONFIG_")).collect();
    request.own_tags.extend(names.scan.own_tags.iter().copied());
    request.own_tags.extend(wanted.iter().map(String::as_str));
    request.own_names.extend(names.scan.own_names.iter().copied());
    let types = kernel_types::of_kernel(&request).map_err(|source| Error::Btf { of: "vmlinux".into(), source })?;
    let [major, minor, patch] = kernel.version();
    let mut text = String::with_capacity(types.len() + (8 << 10));
    section(&mut text, "rtrace/base.h", prelude::BASE);
    section(&mut text, "rtrace/types.h", &types);
    section(&mut text, "rtrace/tracepoints.h", &structs);
    section(&mut text, "rtrace/config.h", &kernel_config::definitions(&options, &kernel.release));
    text.push_str(&system_calls(&request.identifiers));
    let _ = writeln!(text, "#define LINUX_VERSION_CODE {}", (major << 16) + (minor << 8) + patch.min(255));
    let _ = writeln!(text, "#define __rtrace_possible_cpus {cpus}");
    let _ = writeln!(text, "#define __rtrace_hz {}", sys::ticks_per_second());
    let _ = writeln!(text, "#define __rtrace_page_shift {}", sys::page_size().trailing_zeros());
    for method in &program.optional_methods {
        let _ = writeln!(text, "#define __rtrace_uses_{method}");
    }
    let packets = program.packet_headers.declarations();
    let own = program.units.iter().map(|unit| unit.rewritten.as_str());
    let mentioned = mentioned(own.chain([structs.as_str(), packets.as_str()]).chain(cflags.iter().map(String::as_str)));
    let needed = mentioned.map(|mentioned| names.needed(mentioned.into_iter(), &scan));
    let whole = names.whole(&scan);
    let mut behind = String::new();
    if !program.bcc_headers.is_empty() {
        section(&mut behind, prelude::PROTO.name, prelude::PROTO.text);
    }
    section(&mut behind, "rtrace/headers.h", &packets);
    let identity = kernel.identity();
    let _ = writeln!(behind, "const char __rtrace_dialect[] SEC(\".rtrace.dialect\") = \"{identity}\";");
    Ok(Front { before: text, needed, whole, behind, hint })
}

/// Define those of the names that are numbers of system calls: `__NR_openat`.
fn system_calls(names: &HashSet<&str>) -> String {
    let number = |name: &&str| syscalls::Sysno::from_str(name.strip_prefix("__NR_")?).ok();
    let define = |name: &&str| Some(format!("#define {name} {}\n", number(name)?.id()));
    names.iter().filter_map(define).collect()
}

/// Return the identifiers in some texts in C; `None` if they paste tokens, which may become any.
fn mentioned<'a>(texts: impl Iterator<Item = &'a str>) -> Option<HashSet<&'a str>> {
    let mut mentioned = HashSet::new();
    for text in texts {
        let tokens = lexer::tokens(text).ok()?;
        let pastes = |pair: &[lexer::Token]| pair[0].is(b'#') && pair[1].is(b'#') && pair[0].end == pair[1].start;
        if tokens.windows(2).any(pastes) {
            return None;
        }
        let identifiers = tokens.iter().filter(|token| token.kind == lexer::Kind::Identifier);
        mentioned.extend(identifiers.map(|token| token.text(text)));
    }
    Some(mentioned)
}

fn section(text: &mut String, name: &str, body: &str) {
    let _ = writeln!(text, "#line 1 \"{name}\"\n{body}");
}

/// Structs of the tracepoints that a program names, their names, and a word on those that this kernel lacks.
fn tracepoint_structs(scan: &Scan<'_>) -> (String, Vec<String>, Option<String>) {
    let (mut text, mut wanted, mut hint) = (String::new(), Vec::new(), None);
    let absent =
        |tracepoint: &Tracepoint<'_>| !scan.own_tags.contains(tracepoint_struct::name_of(*tracepoint).as_str());
    for tracepoint in scan.tracepoints.iter().copied().filter(absent) {
        let (category, event) = tracepoint;
        wanted.push(tracepoint_struct::name_of(tracepoint));
        match tracepoint_struct::read(tracepoint) {
            Ok(format) => text.push_str(&tracepoint_struct::emit(tracepoint, &format)),
            Err(Missing::Unknown) => {
                let like = tracepoint_struct::nearest(tracepoint);
                let like = like.map_or(String::new(), |like| format!("; did you mean `{like}`?"));
                hint = Some(format!("this kernel has no tracepoint `{category}:{event}`{like}"));
            }
            Err(Missing::Unreadable(cause)) => {
                hint = Some(format!("the format of tracepoint `{category}:{event}` cannot be read: {cause}"));
            }
        }
    }
    (text, wanted, hint)
}

/// Write the program's headers, and all of it as the user wrote it, from which the compiler takes the lines that the
/// verifier shows.
fn write_files(folder: &Path, program: &Program) -> io::Result<()> {
    for (index, unit) in program.units.iter().enumerate() {
        if index > 0 {
            let mut text = String::with_capacity(unit.rewritten.len() + 512);
            section(&mut text, &unit.compiled_as, &unit.rewritten);
            fs::write(folder.join(&unit.file), text)?;
        }
        fs::write(folder.join(&unit.compiled_as), &unit.source)?;
    }
    Ok(())
}
