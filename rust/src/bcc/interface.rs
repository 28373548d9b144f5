//! What Python sees of the compile step.

use std::path::PathBuf;

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};

use super::{
    compile::{self, Request},
    compiler::{Absent, Compiler, Kind},
};
use crate::{error::Error, logging};

/// Compile C in bcc's dialect; return the bytes of the object.
///
/// `source` is str or bytes; bytes that are no UTF-8, which str may hold as file names do, belong in comments only.
/// `name` is that of the source's file, or stands for it in messages; the program's own headers are looked for beside
/// it and in `include_dirs`. The same source is not compiled twice unless `cache` is false. Needs a compiler, see
/// :func:`find_compiler`, and the kernel's BTF; no privilege, except that formats of tracepoints are root's to read.
#[pyfunction]
#[pyo3(signature = (source, *, name = "<text>", include_dirs = Vec::new(), cflags = Vec::new(), cache = true))]
pub(crate) fn compile_c<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    name: &str,
    include_dirs: Vec<PathBuf>,
    cflags: Vec<String>,
    cache: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    logging::listen(py)?;
    let version = version(py)?;
    let source = &bytes_of(source)?;
    let request = Request { source, name, include_dirs, cflags, cache, version };
    let object = py.detach(|| compile::compile(&request, zig));
    // A Ctrl-C that ended the compiler is the user's, not the program's error.
    py.check_signals()?;
    Ok(PyBytes::new(py, &object?))
}

/// Return what becomes of C in bcc's dialect on its way: ``"rewritten"`` C, or ``"llvm"``.
///
/// The other arguments are those of :func:`compile_c`. LLVM's intermediate language is the compiler's, and needs one.
#[pyfunction]
#[pyo3(signature = (source, stage, *, name = "<text>", include_dirs = Vec::new(), cflags = Vec::new()))]
pub(crate) fn show_c(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    stage: &str,
    name: &str,
    include_dirs: Vec<PathBuf>,
    cflags: Vec<String>,
) -> PyResult<String> {
    let source = &bytes_of(source)?;
    let request = Request { source, name, include_dirs, cflags, cache: false, version: String::new() };
    Ok(match stage {
        "rewritten" => py.detach(|| compile::show_rewritten(&request))?,
        "llvm" => py.detach(|| compile::show_llvm(&request, zig))?,
        _ => return Err(Error::Value(format!("no stage {stage:?}; there are rewritten, llvm")).into()),
    })
}

/// The bytes of a source that came as str or bytes.
fn bytes_of(source: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match source.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes().to_owned()),
        Err(_) => source.cast::<PyString>()?.call_method1("encode", ("utf-8", "surrogateescape"))?.extract(),
    }
}

/// Return which compiler would be used, or ``None`` if there is none.
///
/// A dict of ``path``, ``kind`` (``"clang"`` or ``"zig"``) and ``version``, the first line of what it says. Raises
/// `NotSupportedError` where the variable ``RTRACE_CLANG`` names what is no program.
#[pyfunction]
pub(crate) fn find_compiler(py: Python<'_>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let compiler = match Compiler::find(zig) {
        Ok(compiler) => compiler,
        Err(Absent::All) => return Ok(None),
        Err(absent) => return Err(absent.error("look for a compiler".into()).into()),
    };
    let version = py.detach(|| compiler.version())?;
    let facts = PyDict::new(py);
    facts.set_item("path", compiler.path.display().to_string())?;
    facts.set_item("kind", if compiler.kind == Kind::Zig { "zig" } else { "clang" })?;
    facts.set_item("version", version)?;
    Ok(Some(facts))
}

/// Find the executable of the `ziglang` package, where imports would look for it.
///
/// By hand, as every start of a program asks: the interpreter's own search takes as long as everything else of one that
/// was compiled before.
fn zig() -> Option<PathBuf> {
    Python::attach(|py| -> PyResult<Option<PathBuf>> {
        let folders: Vec<PathBuf> = py.import("sys")?.getattr("path")?.extract()?;
        let executables = folders.iter().map(|folder| folder.join("ziglang").join("zig"));
        Ok(executables.into_iter().find(|path| path.is_absolute() && path.is_file()))
    })
    .ok()
    .flatten()
}

/// Tell this build of rtrace from any other: its module's file and when it was written.
fn version(py: Python<'_>) -> PyResult<String> {
    let file: PathBuf = py.import("rtrace._rtrace")?.getattr("__file__")?.extract()?;
    let found = std::fs::metadata(&file)?;
    Ok(format!("{} {} {:?}", env!("CARGO_PKG_VERSION"), found.len(), found.modified()?))
}
