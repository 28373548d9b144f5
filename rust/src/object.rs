//! `Object`: programs and maps that are in the kernel.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use aya_obj::generated::bpf_map_type;
use pyo3::{prelude::*, types::PyDict};

use crate::{
    attach,
    error::Error,
    layout::Layout,
    link::Link,
    map::{Map, MapFacts},
    ring_buffer::RingBuffer,
    sys::bpf,
    warning,
};

/// A program that the verifier has accepted.
pub(crate) struct Program {
    name: String,
    kind: &'static str,
    target: Option<String>,
    fd: OwnedFd,
}

impl Program {
    pub(crate) fn new(name: &str, kind: &'static str, target: Option<&str>, fd: OwnedFd) -> Self {
        Self { name: name.to_owned(), kind, target: target.map(str::to_owned), fd }
    }
}

type LoadedMap = (MapFacts, Arc<Mutex<Option<OwnedFd>>>);

/// An object in the kernel: its programs, ready to be attached, and its maps.
///
/// Obtained from :meth:`ObjectSpec.load`. A context manager; closing frees the programs and maps once their last
/// link is closed too.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct Object {
    name: String,
    programs: Mutex<Option<HashMap<String, Program>>>,
    maps: HashMap<String, LoadedMap>,
}

impl Object {
    pub(crate) fn new(name: &str, programs: HashMap<String, Program>, maps: HashMap<String, LoadedMap>) -> Self {
        Self { name: name.to_owned(), programs: Mutex::new(Some(programs)), maps }
    }

    fn with_program<T>(&self, name: &str, operation: impl FnOnce(&Program) -> Result<T, Error>) -> Result<T, Error> {
        let guard = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let programs = guard.as_ref().ok_or_else(|| Error::Closed(format!("object `{}`", self.name)))?;
        let program = programs.get(name).ok_or_else(|| self.no_such("loaded program", name, programs.keys()))?;
        operation(program)
    }

    fn no_such<'a>(&self, what: &'static str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
        let mut known: Vec<_> = known.map(String::as_str).collect();
        known.sort_unstable();
        Error::NoSuchMember { what, name: name.to_owned(), object: self.name.clone(), known: known.join(", ") }
    }

    /// Attach `program`, which must be of one of `kinds`.
    fn attach(
        &self,
        py: Python<'_>,
        program: &str,
        kinds: &[&'static str],
        attach: impl Send + FnOnce((&str, BorrowedFd<'_>), &Program) -> Result<Link, Error>,
    ) -> PyResult<Link> {
        Ok(py.detach(|| {
            self.with_program(program, |program| {
                if !kinds.contains(&program.kind) {
                    let (name, kind) = (&program.name, program.kind);
                    let wanted = kinds.join(" or ");
                    return Err(Error::Type(format!("program `{name}` is for a {kind}, not for a {wanted}")));
                }
                attach((&program.name, program.fd.as_fd()), program)
            })
        })?)
    }
}

#[pymethods]
impl Object {
    /// Name that stands for the object in messages.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Return the map called `name`.
    fn map(&self, name: &str) -> PyResult<Map> {
        let (facts, fd) = self.maps.get(name).ok_or_else(|| self.no_such("map", name, self.maps.keys()))?;
        Ok(Map::new(facts.clone(), Arc::clone(fd))?)
    }

    /// Describe what the keys, values and events of `map` are: see :meth:`ObjectSpec.types`.
    fn types<'py>(&self, py: Python<'py>, map: &str) -> PyResult<Bound<'py, PyDict>> {
        let (facts, _) = self.maps.get(map).ok_or_else(|| self.no_such("map", map, self.maps.keys()))?;
        facts.described.describe(py, &self.name)
    }

    /// Start to drain the ring buffer called `map`.
    ///
    /// Its records have the type that the object's BTF says, or are bytes of which `record_bytes` are taken each.
    /// At most `max_bytes` are held for the reader. When nobody takes them the ring itself fills up, and the programs
    /// count what they could not write.
    #[pyo3(signature = (map, *, record_bytes = None, max_bytes = 256 << 20))]
    fn ring_buffer(&self, map: &str, record_bytes: Option<usize>, max_bytes: usize) -> PyResult<RingBuffer> {
        let (facts, fd) = self.maps.get(map).ok_or_else(|| self.no_such("map", map, self.maps.keys()))?;
        if facts.map_type != bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32 {
            return Err(Error::Type(format!("map `{map}` is not a ring buffer")).into());
        }
        let guard = fd.lock().unwrap_or_else(PoisonError::into_inner);
        let open = guard.as_ref().ok_or_else(|| Error::Closed(format!("object `{}`", self.name)))?;
        let copy = open.try_clone()?;
        let layout = record_bytes.map_or_else(|| facts.value.clone(), Layout::Opaque);
        Ok(RingBuffer::new(map, layout, copy, facts.max_entries as usize, max_bytes)?)
    }

    /// Attach a kprobe or kretprobe program to the kernel function `symbol`.
    ///
    /// Kernel: 4.17 or newer with `CONFIG_KPROBES`. Privilege: `CAP_PERFMON`. The probe goes with the link.
    #[pyo3(signature = (program, symbol, *, offset = 0))]
    fn attach_kprobe(&self, py: Python<'_>, program: &str, symbol: &str, offset: u64) -> PyResult<Link> {
        self.attach(py, program, &["kprobe", "kretprobe"], |fd, program| {
            attach::kprobe::attach(fd, symbol, offset, program.kind == "kretprobe")
        })
    }

    /// Attach a program to the tracepoint `category`:`name`. Works where tracefs is not mounted.
    fn attach_tracepoint(&self, py: Python<'_>, program: &str, category: &str, name: &str) -> PyResult<Link> {
        self.attach(py, program, &["tracepoint"], |fd, _| attach::tracepoint::attach(fd, category, name))
    }

    /// Attach a program to the raw tracepoint `name`. Needs no tracefs.
    fn attach_raw_tracepoint(&self, py: Python<'_>, program: &str, name: &str) -> PyResult<Link> {
        self.attach(py, program, &["raw tracepoint"], |fd, _| attach::raw_tracepoint::attach(fd, name))
    }

    /// Attach an fentry or fexit program to the function it was loaded for.
    fn attach_trampoline(&self, py: Python<'_>, program: &str) -> PyResult<Link> {
        self.attach(py, program, &["fentry", "fexit"], |fd, program| {
            attach::trampoline::attach(fd, program.kind, program.target.as_deref().unwrap_or_default())
        })
    }

    /// Return what the kernel counted of a program's runs.
    ///
    /// A dict of ``id``, ``run_count`` and ``run_time_ns`` (0 unless statistics are on, see
    /// :func:`enable_run_time_stats`) and ``recursion_misses``: runs left out because the program was running on that
    /// CPU already (Linux 5.12 and newer, else 0).
    fn program_info<'py>(&self, py: Python<'py>, program: &str) -> PyResult<Bound<'py, PyDict>> {
        let info = self.with_program(program, |program| {
            bpf::program_info(program.fd.as_fd())
                .map_err(|source| Error::System { operation: format!("ask about program `{}`", program.name), source })
        })?;
        let facts = PyDict::new(py);
        facts.set_item("id", info.id)?;
        facts.set_item("run_count", info.run_cnt)?;
        facts.set_item("run_time_ns", info.run_time_ns)?;
        facts.set_item("recursion_misses", info.recursion_misses)?;
        Ok(facts)
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Let go of the programs and maps. Doing it again changes nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            drop(self.programs.lock().unwrap_or_else(PoisonError::into_inner).take());
            for (_, fd) in self.maps.values() {
                drop(fd.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        });
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<Object {}>", self.name)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if !self.closed() {
            warning::unclosed(&self.__repr__());
        }
    }
}
