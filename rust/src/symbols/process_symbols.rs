//! [`Process`] for Python.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use numpy::{AllowTypeChange, PyArrayLike1};
use pyo3::prelude::*;

use super::{demangle::demangle, process::Process};
use crate::error::Error;

/// How soon what is mapped is looked at again for want of an address: garbage in a stack must not cost more than that.
const PAUSE: Duration = Duration::from_millis(100);

/// A function's name if it is known, the path of its file, and the distance from the start of either.
type Resolved = (Option<String>, OsString, u64);

/// The functions of a process: names of addresses, addresses of names.
///
/// Knows ELF files with their symbol tables, exported symbols and separate debug files, the kernel's own library in
/// the process, and what just-in-time compilers write to ``/tmp/perf-PID.map``. Files are those that the process has
/// mapped, in its own mount namespace, even where another file has their path by now. What is known of a process
/// stays when it ends; a later process of the same number is never taken for it.
///
/// Parameters
/// ----------
/// pid
///     The process.
///
/// Raises
/// ------
/// ``SymbolError``
///     If there is no such process.
/// ``PrivilegeError``
///     If this one may not look at it.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct ProcessSymbols {
    pid: u32,
    state: Mutex<State>,
}

struct State {
    process: Process,
    /// Names in the source's own form; making them takes longer than finding them.
    demangled: HashMap<Box<[u8]>, Box<str>>,
    looked_again: Option<Instant>,
}

impl State {
    fn resolve(&mut self, address: u64, as_in_source: bool) -> Option<Resolved> {
        if self.process.is_unknown(address) && self.looked_again.is_none_or(|at| at.elapsed() > PAUSE) {
            // Without anything new the address stays unknown, which is an answer.
            let _ = self.process.refresh();
            self.looked_again = Some(Instant::now());
        }
        let found = self.process.resolve(address)?;
        let name = found.name.map(|name| {
            if !as_in_source || !name.starts_with(b"_") {
                return String::from_utf8_lossy(name).into_owned();
            }
            if let Some(known) = self.demangled.get(name) {
                return known.to_string();
            }
            let made = demangle(name).into_owned();
            self.demangled.insert(name.into(), made.as_str().into());
            made
        });
        Some((name, OsString::from_vec(found.module.to_vec()), found.offset))
    }
}

impl ProcessSymbols {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Say why a process cannot be looked at.
pub(crate) fn refused(pid: u32, source: io::Error) -> Error {
    let operation = format!("read what process {pid} has mapped");
    Error::or_privilege(source, operation.clone(), |source| match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Error::Symbol { operation, cause: "no such process".into() },
        _ => Error::Symbol { operation, cause: source.to_string() },
    })
}

#[pymethods]
impl ProcessSymbols {
    #[new]
    fn new(py: Python<'_>, pid: u32) -> PyResult<Self> {
        let process = py.detach(|| Process::open(pid)).map_err(|source| refused(pid, source))?;
        let state = State { process, demangled: HashMap::new(), looked_again: None };
        Ok(Self { pid, state: Mutex::new(state) })
    }

    /// The process's number.
    #[getter]
    fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process is over.
    #[getter]
    fn has_ended(&self) -> bool {
        self.lock().process.has_ended()
    }

    /// Find the function that holds an address.
    ///
    /// Parameters
    /// ----------
    /// address
    ///     An address of the process.
    /// demangle
    ///     Give names of C++ and Rust as the source has them.
    ///
    /// Returns
    /// -------
    /// tuple or None
    ///     Name, path of the file, bytes from the start of the function. Where only the file is known the name is
    ///     None and the bytes count from the start of the file; None where nothing is known.
    #[pyo3(signature = (address, *, demangle = true))]
    fn resolve(&self, py: Python<'_>, address: u64, demangle: bool) -> Option<Resolved> {
        py.detach(|| self.lock().resolve(address, demangle))
    }

    /// Find the functions that hold many addresses; see :meth:`resolve`.
    #[pyo3(signature = (addresses, *, demangle = true))]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn resolve_many(
        &self,
        py: Python<'_>,
        addresses: PyArrayLike1<'_, u64, AllowTypeChange>,
        demangle: bool,
    ) -> Vec<Option<Resolved>> {
        let addresses: Vec<u64> = addresses.as_array().iter().copied().collect();
        py.detach(|| {
            let mut state = self.lock();
            addresses.into_iter().map(|address| state.resolve(address, demangle)).collect()
        })
    }

    /// Find the address that a function or variable has in the process.
    ///
    /// Parameters
    /// ----------
    /// module
    ///     Path of the file as the process has it mapped, or the file's name alone, or a short name of a library:
    ///     ``"c"`` for ``libc.so.6``; None looks everywhere.
    /// name
    ///     The name, as the linker knows it.
    ///
    /// Returns
    /// -------
    /// int or None
    ///     None if there is no such name.
    fn address(&self, py: Python<'_>, module: Option<&str>, name: &str) -> Option<u64> {
        let is_meant = |path: &[u8]| module.is_none_or(|module| names_file(module.as_bytes(), path));
        py.detach(|| self.lock().process.address(name.as_bytes(), is_meant))
    }

    /// Look again at what is mapped; tells whether that has changed.
    ///
    /// An address that is not known yet does this by itself, ten times a second at most.
    fn refresh(&self, py: Python<'_>) -> PyResult<bool> {
        let refreshed = py.detach(|| self.lock().process.refresh());
        Ok(refreshed.map_err(|source| refused(self.pid, source))?)
    }

    fn __repr__(&self) -> String {
        format!("<ProcessSymbols pid={}>", self.pid)
    }
}

/// Whether `module` is the file's path, its last part, or what stands between `lib` and `.so` or `-` in that.
pub(crate) fn names_file(module: &[u8], path: &[u8]) -> bool {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let name = Path::new(OsStr::from_bytes(path)).file_name().map_or(path, OsStr::as_bytes);
    let rest = name.strip_prefix(b"lib").and_then(|name| name.strip_prefix(module));
    let is_short = rest.is_some_and(|rest| rest.starts_with(b".so") || rest.starts_with(b"-"));
    !module.is_empty() && (module == path || module == name || is_short)
}

#[cfg(test)]
mod tests {
    use super::names_file;

    #[test]
    fn a_library_has_three_names() {
        let path = b"/usr/lib/x86_64-linux-gnu/libc.so.6";
        for module in ["c", "libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"] {
            assert!(names_file(module.as_bytes(), path), "{module}");
        }
        for module in ["", "libc", "/libc.so.6", "cr"] {
            assert!(!names_file(module.as_bytes(), path), "{module}");
        }
        assert!(names_file(b"pthread", b"/lib/libpthread-2.31.so"));
        assert!(!names_file(b"c", b"/lib/libcap.so.2"));
    }
}
