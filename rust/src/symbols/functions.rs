//! What Python asks about files, without the process that runs them.

use std::{
    collections::HashSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use pyo3::{IntoPyObjectExt, prelude::*, types::PyDict};

use super::{
    elf::{Elf, ElfError},
    files, find,
    process::Process,
    usdt::{self, Location, Probe},
    usdt_argument::{Operand, Register},
};
use crate::error::Error;

/// Say why a file's symbols cannot be read.
pub(crate) fn refused(path: &Path, error: ElfError) -> Error {
    let operation = format!("read the symbols of `{}`", path.display());
    match error {
        ElfError::Read(source) => Error::or_privilege(source, operation.clone(), |source| {
            let cause = match source.kind() {
                std::io::ErrorKind::NotFound => "no such file".to_owned(),
                _ => source.to_string(),
            };
            Error::Symbol { operation, cause }
        }),
        other => Error::Symbol { operation, cause: other.to_string() },
    }
}

fn process(pid: Option<u32>) -> Result<Option<Process>, Error> {
    let open = |pid| Process::open(pid).map_err(|source| super::process_symbols::refused(pid, source));
    pid.map(open).transpose()
}

/// Return where in an ELF file a function starts, as uprobes count, or ``None`` if it has no such function.
///
/// Looks at all symbols, the exported ones, and those of the separate debug file. Where a library has several versions
/// of a function, it is the one that programs are linked to today.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
pub(crate) fn elf_symbol_offset(py: Python<'_>, path: PathBuf, name: &str) -> PyResult<Option<u64>> {
    let module = py.detach(|| files::open(&path)).map_err(|error| refused(&path, error))?;
    Ok(module.table.address(name.as_bytes()).and_then(|address| module.segments.offset_of(address)))
}

/// List the functions of an ELF file with the places where they start in the file, by address.
///
/// With ``as_linked`` the places are the linker's addresses, which is what debuggers and ``nm`` show.
#[pyfunction]
#[pyo3(signature = (path, *, as_linked = false))]
#[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
pub(crate) fn elf_functions(py: Python<'_>, path: PathBuf, as_linked: bool) -> PyResult<Vec<(String, u64)>> {
    let module = py.detach(|| files::open(&path)).map_err(|error| refused(&path, error))?;
    let place = |(name, address): (&[u8], u64)| {
        let offset = module.segments.offset_of(address)?;
        Some((String::from_utf8_lossy(name).into_owned(), if as_linked { address } else { offset }))
    };
    Ok(module.table.functions().filter_map(place).collect())
}

/// Return where in an ELF file the byte is that the linker gave an address, or ``None`` if it is not in the file.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
pub(crate) fn elf_address_offset(py: Python<'_>, path: PathBuf, address: u64) -> PyResult<Option<u64>> {
    let elf = py.detach(|| Elf::open(&path).map(|elf| elf.segments.offset_of(address)));
    Ok(elf.map_err(|error| refused(&path, error))?)
}

/// Return the path of a library by its short name, as ``"c"`` or ``"pthread"``, or ``None``.
///
/// With ``pid``: the one that the process has mapped, else the one that its loader would take; the path is one that
/// this process can open.
#[pyfunction]
#[pyo3(signature = (name, pid = None))]
pub(crate) fn find_library(py: Python<'_>, name: &str, pid: Option<u32>) -> PyResult<Option<OsString>> {
    let found = py.detach(|| Ok::<_, Error>(find::library(name, process(pid)?.as_ref())))?;
    Ok(found.map(PathBuf::into_os_string))
}

/// Return the path of a program, looked for in ``$PATH`` as a shell does, or ``None``.
#[pyfunction]
pub(crate) fn find_executable(name: &str) -> Option<OsString> {
    find::executable(name).map(PathBuf::into_os_string)
}

/// List the USDT probes of a file, of all files that a process has mapped, or of one file as a process sees it.
///
/// Each is a dict with ``provider``, ``name``, ``path`` and ``locations``; each of these with ``address`` (the
/// linker's), ``offset`` (in the file), ``loaded_at`` (the process's address, ``None`` without one), ``semaphore``,
/// ``semaphore_offset`` (0 without one) and ``arguments``.
#[pyfunction]
#[pyo3(signature = (path = None, pid = None))]
pub(crate) fn usdt_probes(py: Python<'_>, path: Option<PathBuf>, pid: Option<u32>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let found = py.detach(|| match (path, process(pid)?) {
        (Some(path), None) => of_file(&path),
        (Some(path), Some(process)) => {
            let mut probes = of_file(&process.within(&path))?;
            let file = process.mapping_of(&path);
            for location in probes.iter_mut().flat_map(|probe| &mut probe.locations) {
                location.loaded_at = file.and_then(|file| process.loaded_at(file, location.offset));
            }
            Ok(probes)
        }
        (None, Some(process)) => Ok(of_process(&process)),
        (None, None) => Err(Error::Type("either a path or a process is needed".into())),
    })?;
    found.iter().map(|probe| probe_dict(py, probe)).collect()
}

fn of_file(path: &Path) -> Result<Vec<Probe>, Error> {
    let probes = Elf::open(path).and_then(|elf| usdt::probes(&elf, path));
    probes.map_err(|error| refused(path, error))
}

/// Files that cannot be read have no probes that could be attached to.
fn of_process(process: &Process) -> Vec<Probe> {
    let mut known = HashSet::new();
    let code = process.mappings().iter().filter(|mapping| mapping.is_executable && mapping.inode != 0);
    let files = code.filter(|mapping| known.insert((mapping.device, mapping.inode)));
    let found = files.filter_map(|mapping| {
        let elf = Elf::of_file(process.file(mapping)?).ok()?;
        let mut probes = usdt::probes(&elf, &process.path_of(mapping)).ok()?;
        for location in probes.iter_mut().flat_map(|probe| &mut probe.locations) {
            location.loaded_at = process.loaded_at(mapping, location.offset);
        }
        Some(probes)
    });
    found.flatten().collect()
}

fn probe_dict<'py>(py: Python<'py>, probe: &Probe) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("provider", &probe.provider)?;
    dict.set_item("name", &probe.name)?;
    dict.set_item("path", probe.path.as_os_str())?;
    let locations: PyResult<Vec<_>> = probe.locations.iter().map(|location| location_dict(py, location)).collect();
    dict.set_item("locations", locations?)?;
    Ok(dict)
}

fn location_dict<'py>(py: Python<'py>, location: &Location) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("address", location.address)?;
    dict.set_item("offset", location.offset)?;
    dict.set_item("loaded_at", location.loaded_at)?;
    dict.set_item("semaphore", location.semaphore)?;
    dict.set_item("semaphore_offset", location.semaphore_offset)?;
    let mut arguments = Vec::with_capacity(location.arguments.len());
    for (argument, symbol_address) in &location.arguments {
        let facts = PyDict::new(py);
        facts.set_item("text", &argument.text)?;
        facts.set_item("bytes", argument.bytes)?;
        facts.set_item("signed", argument.is_signed)?;
        facts.set_item("float", argument.is_float)?;
        place(py, &argument.operand, *symbol_address, &facts)?;
        arguments.push(facts);
    }
    dict.set_item("arguments", arguments)?;
    Ok(dict)
}

/// Say where a value is: its kind, and what belongs to that.
fn place(py: Python<'_>, operand: &Operand, symbol_address: Option<u64>, facts: &Bound<'_, PyDict>) -> PyResult<()> {
    let register = |register: &Register| (register.field.clone(), register.shift, register.bits).into_py_any(py);
    let kind = match operand {
        Operand::Constant(value) => {
            facts.set_item("constant", value)?;
            "constant"
        }
        Operand::Register(of) => {
            facts.set_item("register", register(of)?)?;
            "register"
        }
        Operand::Memory(memory) if memory.symbol.is_some() && symbol_address.is_none() => "unreadable",
        Operand::Memory(memory) => {
            facts.set_item("base", memory.base.as_ref().map(register).transpose()?)?;
            facts.set_item("index", memory.index.as_ref().map(|index| register(&index.register)).transpose()?)?;
            facts.set_item("scale", memory.index.as_ref().map(|index| index.scale))?;
            facts.set_item("index_signed", memory.index.as_ref().is_some_and(|index| index.is_signed))?;
            facts.set_item("displacement", memory.displacement)?;
            facts.set_item("symbol", &memory.symbol)?;
            facts.set_item("symbol_address", symbol_address)?;
            "memory"
        }
        Operand::Unreadable => "unreadable",
    };
    facts.set_item("kind", kind)
}
