//! What Python sees of the compile step.

use std::path::PathBuf;

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::{
    compile::{self, Request},
    compiler::{Compiler, Kind},
};

/// Compile C in bcc's dialect; return the bytes of the object.
///
/// `name` is that of the source's file, or stands for it in messages; the program's own headers are looked for beside
/// it and in `include_dirs`. The same source is not compiled twice unless `cache` is false. Needs a compiler, see
/// :func:`find_compiler`, and the kernel's BTF; no privilege, except that formats of tracepoints are root's to read.
#[pyfunction]
#[pyo3(signature = (source, *, name = "<text>", include_dirs = Vec::new(), cflags = Vec::new(), cache = true))]
pub(crate) fn compile_c<'py>(
    py: Python<'py>,
    source: &str,
    name: &str,
    include_dirs: Vec<PathBuf>,
    cflags: Vec<String>,
    cache: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let version = version(py)?;
    let request = Request { source, name, include_dirs, cflags, cache, version };
    let object = py.detach(|| compile::compile(&request, zig));
    // A Ctrl-C that ended the compiler is the user's, not the program's error.
    py.check_signals()?;
    Ok(PyBytes::new(py, &object?))
}

/// Return which compiler would be used, or ``None`` if there is none.
///
/// A dict of ``path``, ``kind`` (``"clang"`` or ``"zig"``) and ``version``, the first line of what it says.
#[pyfunction]
pub(crate) fn find_compiler(py: Python<'_>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(compiler) = Compiler::find(zig) else { return Ok(None) };
    let version = py.detach(|| compiler.version())?;
    let facts = PyDict::new(py);
    facts.set_item("path", compiler.path.display().to_string())?;
    facts.set_item("kind", if compiler.kind == Kind::Zig { "zig" } else { "clang" })?;
    facts.set_item("version", version)?;
    Ok(Some(facts))
}

/// Find the executable of the `ziglang` package, without importing it.
fn zig() -> Option<PathBuf> {
    Python::attach(|py| -> PyResult<Option<PathBuf>> {
        let found = py.import("importlib.util")?.call_method1("find_spec", ("ziglang",))?;
        if found.is_none() {
            return Ok(None);
        }
        let folders = found.getattr("submodule_search_locations")?;
        let folders: Vec<PathBuf> = folders.try_iter()?.map(|folder| folder?.extract()).collect::<PyResult<_>>()?;
        Ok(folders.into_iter().map(|folder| folder.join("zig")).find(|path| path.is_file()))
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
