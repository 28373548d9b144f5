//! [`Module`] for Python: the functions of one file, for addresses that say which file they are in.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use pyo3::{prelude::*, types::PyBytes};

use super::{
    demangle::demangle,
    elf::Elf,
    files::{self, Module},
    functions::refused,
};

/// The functions of an ELF file: names of places in it.
///
/// The kernel can give addresses as a build id and an offset in the file; this knows both.
///
/// Parameters
/// ----------
/// path
///     The file.
///
/// Raises
/// ------
/// ``SymbolError``
///     If it is not there, or no ELF file.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct FileSymbols {
    path: PathBuf,
    build_id: Option<Vec<u8>>,
    module: Arc<Module>,
}

#[pymethods]
impl FileSymbols {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let read = py.detach(|| Ok((Elf::open(&path)?.build_id(), files::open(&path)?)));
        let (build_id, module) = read.map_err(|error| refused(&path, error))?;
        Ok(Self { path, build_id, module })
    }

    /// The number that the linker gave to the file, or ``None``.
    #[getter]
    fn build_id<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.build_id.as_ref().map(|id| PyBytes::new(py, id))
    }

    /// Find the function that holds a place in the file: its name and the bytes from its start, or ``None``.
    #[pyo3(signature = (offset, *, demangle = true))]
    fn resolve(&self, offset: u64, demangle: bool) -> Option<(String, u64)> {
        let (name, into) = self.module.table.resolve(self.module.segments.address_of(offset)?)?;
        Some((shown(name, demangle).into_owned(), into))
    }

    fn __repr__(&self) -> String {
        format!("<FileSymbols {}>", self.path.display())
    }
}

fn shown(name: &[u8], as_in_source: bool) -> Cow<'_, str> {
    if as_in_source { demangle(name) } else { String::from_utf8_lossy(name) }
}
