//! `Object`: programs and maps that are in the kernel.

use std::{
    collections::HashMap,
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use aya_obj::generated::bpf_map_type;
use pyo3::{prelude::*, types::PyDict};

use crate::{
    attach::{self, perf_event::Event, uprobe::Place},
    error::Error,
    held::WhenFull,
    kind::Kind,
    layout::Layout,
    link::Link,
    load::Loader,
    loaded_maps::LoadedMaps,
    logging,
    map::Map,
    perf_buffer::PerfBuffer,
    program::{PROBES, Program},
    record_buffer::{LossMap, RecordBuffer},
    ring_buffer::RingBuffer,
    sys::{bpf, perf::Sampling},
    warning,
};

/// What is gone once the object is closed.
struct State {
    loader: Loader,
    programs: HashMap<String, Program>,
}

/// An object in the kernel: its programs, ready to be attached, and its maps.
///
/// Obtained from :meth:`ObjectSpec.load`. A context manager; closing frees the programs and maps once their last
/// link is closed too.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct Object {
    name: String,
    state: Mutex<Option<State>>,
    maps: LoadedMaps,
}

impl Object {
    pub(crate) fn new(name: &str, loader: Loader, programs: HashMap<String, Program>, maps: LoadedMaps) -> Self {
        Self { name: name.to_owned(), state: Mutex::new(Some(State { loader, programs })), maps }
    }

    fn with_state<T>(&self, operation: impl FnOnce(&mut State) -> Result<T, Error>) -> Result<T, Error> {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        operation(guard.as_mut().ok_or_else(|| Error::Closed(format!("object `{}`", self.name)))?)
    }

    pub(crate) fn with_loader<T>(&self, use_it: impl FnOnce(&mut Loader) -> Result<T, Error>) -> Result<T, Error> {
        self.with_state(|state| use_it(&mut state.loader))
    }

    fn with_program<T>(&self, name: &str, operation: impl FnOnce(&Program) -> Result<T, Error>) -> Result<T, Error> {
        self.with_state(|State { programs, .. }| {
            operation(
                programs
                    .get(name)
                    .ok_or_else(|| Error::no_such("loaded program", name, &self.name, programs.keys()))?,
            )
        })
    }

    /// Run `operation` on `program`, which must be of one of `kinds`.
    fn with_kind<T: Send>(
        &self,
        py: Python<'_>,
        program: &str,
        kinds: &[&'static str],
        operation: impl Send + FnOnce((&str, BorrowedFd<'_>), &Program) -> Result<T, Error>,
    ) -> Result<T, Error> {
        py.detach(|| {
            self.with_program(program, |program| {
                if !kinds.contains(&program.kind.name) {
                    let (name, kind) = (&program.name, program.kind.name);
                    let wanted = kinds.join(" or ");
                    return Err(Error::Type(format!("program `{name}` is for a {kind}, not for a {wanted}")));
                }
                operation((&program.name, program.fd.as_fd()), program)
            })
        })
    }

    /// Attach `program`, which must be of one of `kinds`.
    fn attach(
        &self,
        py: Python<'_>,
        program: &str,
        kinds: &[&'static str],
        attach: impl Send + FnOnce((&str, BorrowedFd<'_>), &Program) -> Result<Link, Error>,
    ) -> PyResult<Link> {
        Ok(self.with_kind(py, program, kinds, attach)?)
    }
}

#[pymethods]
impl Object {
    /// Name that stands for the object in messages.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Names of the programs, loaded or not.
    #[getter]
    fn program_names(&self) -> PyResult<Vec<String>> {
        let mut names: Vec<_> = self.with_state(|state| Ok(state.loader.programs().cloned().collect()))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Put one more program into the kernel.
    ///
    /// `kind` is one of the kinds of :attr:`ObjectSpec.programs`; without it the program is what its section says.
    /// `target` is the function, hook or tracepoint that it is for, where its kind wants to know (fentry, fexit,
    /// `fmod_ret`, lsm, btf tracepoint). A program that was loaded before is replaced, and stays attached where it is.
    #[pyo3(signature = (name, *, kind = None, target = None))]
    fn load_program(&self, py: Python<'_>, name: &str, kind: Option<&str>, target: Option<&str>) -> PyResult<()> {
        let kind = kind.map(Kind::named).transpose()?;
        logging::listen(py)?;
        py.detach(|| {
            self.with_state(|State { loader, programs }| {
                loader.must_have(name)?;
                programs.insert(name.to_owned(), loader.load_program(name, kind, target)?);
                Ok(())
            })
        })?;
        Ok(())
    }

    /// Return the file descriptor of a loaded program; it is the object's, and closed with it.
    fn program_fd(&self, name: &str) -> PyResult<i32> {
        Ok(self.with_program(name, |program| Ok(program.fd.as_raw_fd()))?)
    }

    /// Return the map called `name`.
    fn map(&self, name: &str) -> PyResult<Map> {
        self.maps.get(name)
    }

    /// Describe what the keys, values and events of `map` are: see :meth:`ObjectSpec.types`.
    fn types<'py>(&self, py: Python<'py>, map: &str) -> PyResult<Bound<'py, PyDict>> {
        self.maps.facts(map)?.described.describe(py, &self.name)
    }

    /// Start to drain the ring buffer called `map`.
    ///
    /// Its records have the type that the object's BTF says, or are bytes of which `record_bytes` are taken each.
    /// At most `max_bytes` are held for the reader. What comes `when_full` stays in the ring (``"wait"``) until that
    /// is full as well and the programs count what they cannot write, or is dropped and counted (``"drop_newest"``),
    /// or takes the place of the oldest, which are dropped and counted (``"drop_oldest"``).
    #[pyo3(signature = (map, *, record_bytes = None, max_bytes = 256 << 20, when_full = "wait"))]
    fn ring_buffer(
        &self,
        map: &str,
        record_bytes: Option<usize>,
        max_bytes: usize,
        when_full: &str,
    ) -> PyResult<RingBuffer> {
        let Some((_, when_full)) = WhenFull::NAMES.into_iter().find(|(name, _)| *name == when_full) else {
            let known = WhenFull::NAMES.map(|(name, _)| name).join(", ");
            return Err(Error::Value(format!("when_full must be one of {known}, not {when_full:?}")).into());
        };
        let (facts, copy) = self.maps.copy(map, bpf_map_type::BPF_MAP_TYPE_RINGBUF, "ring buffer")?;
        let layout = record_bytes.map_or_else(|| facts.value.clone(), Layout::Opaque);
        Ok(RingBuffer::new(map, layout, copy, facts.max_entries as usize, (max_bytes, when_full))?)
    }

    /// Open the perf buffer called `map` (a perf event array): `pages` pages for each CPU, a power of two.
    ///
    /// Programs wake the reader after `wakeup_events` records of a CPU. The records have the type that the object's
    /// BTF says, or are bytes of which `record_bytes` are taken each; :meth:`PolledBuffer.poll` needs neither.
    /// There may be one perf buffer of a map at a time. Privilege: `CAP_PERFMON`.
    #[pyo3(signature = (map, *, pages = 8, wakeup_events = 1, record_bytes = None))]
    fn perf_buffer(
        &self,
        py: Python<'_>,
        map: &str,
        pages: usize,
        wakeup_events: u32,
        record_bytes: Option<usize>,
    ) -> PyResult<Py<PerfBuffer>> {
        let (facts, copy) = self.maps.copy(map, bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY, "perf event array")?;
        let layout = record_bytes.map(Layout::Opaque).or_else(|| facts.described.event_layout());
        let base = py.detach(|| PerfBuffer::open(map, layout, copy, pages, wakeup_events))?;
        Py::new(py, PyClassInitializer::from(base).add_subclass(PerfBuffer))
    }

    /// Open the ring buffer called `map` for records that differ in size.
    ///
    /// They have the type that the object's BTF says, or are bytes of which `record_bytes` are taken each;
    /// :meth:`PolledBuffer.poll` needs neither. Kernel: 5.8 or newer.
    #[pyo3(signature = (map, *, record_bytes = None))]
    fn record_buffer(&self, py: Python<'_>, map: &str, record_bytes: Option<usize>) -> PyResult<Py<RecordBuffer>> {
        let (facts, copy) = self.maps.copy(map, bpf_map_type::BPF_MAP_TYPE_RINGBUF, "ring buffer")?;
        let typed = || Some(facts.value.clone()).filter(|layout| layout.size() > 0);
        let layout = record_bytes.map(Layout::Opaque).or_else(|| facts.described.event_layout()).or_else(typed);
        let losses = format!("{map}__lost");
        let losses = if self.maps.contains(&losses) {
            let (facts, map) = self.maps.copy(&losses, bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY, "per-CPU array")?;
            Some(LossMap { map, cpus: Map::cpus_of(facts)? })
        } else {
            None
        };
        let base = RecordBuffer::open(map, layout, copy, facts.max_entries as usize, losses)?;
        Py::new(py, PyClassInitializer::from(base).add_subclass(RecordBuffer))
    }

    /// Attach a kprobe program to the entry of the kernel function `symbol`, `offset` bytes behind it, or to its
    /// return.
    ///
    /// Without `at_return` the program's kind decides. Programs for uprobes do as well, they are of the same type.
    /// Kernel: 4.17 or newer with `CONFIG_KPROBES`. Privilege: `CAP_PERFMON`. The probe goes with the link.
    #[pyo3(signature = (program, symbol, *, offset = 0, at_return = None))]
    fn attach_kprobe(
        &self,
        py: Python<'_>,
        program: &str,
        symbol: &str,
        offset: u64,
        at_return: Option<bool>,
    ) -> PyResult<Link> {
        self.attach(py, program, &PROBES, |fd, program| {
            attach::kprobe::attach(fd, symbol, offset, at_return.unwrap_or_else(|| program.is_for_returns()))
        })
    }

    /// Attach a uprobe program to the instruction `offset` bytes into the file `path`, or to the return of the
    /// function that begins there.
    ///
    /// `pid` is the one process that it is for, ``None`` means all of them, those that start later included. Without
    /// `at_return` the program's kind decides. `semaphore_offset` is where in the file a USDT probe's semaphore lies,
    /// 0 where it has none. Programs for kprobes do as well, they are of the same type.
    /// Kernel: 4.17 or newer with `CONFIG_UPROBE_EVENTS`. Privilege: `CAP_SYS_ADMIN`; before Linux 6.16 `CAP_PERFMON`,
    /// unless an update has changed that. The probe goes with the link.
    #[pyo3(signature = (program, path, offset, *, pid = None, at_return = None, semaphore_offset = 0))]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn attach_uprobe(
        &self,
        py: Python<'_>,
        program: &str,
        path: PathBuf,
        offset: u64,
        pid: Option<i32>,
        at_return: Option<bool>,
        semaphore_offset: u64,
    ) -> PyResult<Link> {
        self.attach(py, program, &PROBES, |fd, program| {
            let at_return = at_return.unwrap_or_else(|| program.is_for_returns());
            attach::uprobe::attach(fd, &Place { path: &path, offset, pid, at_return, semaphore_offset })
        })
    }

    /// Attach a perf event program to an event of its own, on one CPU, for one process, or both.
    ///
    /// `type` and `config` are those of `perf_event_open(2)`: ``1, 0`` is the CPU clock. The program runs after every
    /// `sample_period` events, or `sample_freq` times a second. A process counts with all it starts; ``None`` is
    /// every process, or every CPU. `group_fd` is the leader of the group of events that it joins.
    /// Kernel: 4.9 or newer. Privilege: `CAP_PERFMON`. The event goes with the link.
    #[pyo3(signature = (program, r#type, config, *, sample_period = 0, sample_freq = 0, pid = None, cpu = None,
                        group_fd = -1))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn attach_perf_event(
        &self,
        py: Python<'_>,
        program: &str,
        r#type: u32,
        config: u64,
        sample_period: u64,
        sample_freq: u64,
        pid: Option<i32>,
        cpu: Option<i32>,
        group_fd: i32,
    ) -> PyResult<Link> {
        let sampling = match (sample_period, sample_freq) {
            (0, 0) => return Err(Error::Value("give sample_period or sample_freq".into()).into()),
            (period, 0) => Sampling::Period(period),
            (0, frequency) => Sampling::Frequency(frequency),
            _ => return Err(Error::Value("give sample_period or sample_freq, not both".into()).into()),
        };
        let event = Event { type_number: r#type, config, sampling, pid, cpu, group_fd };
        self.attach(py, program, &["perf event"], |fd, _| attach::perf_event::attach(fd, &event))
    }

    /// Attach an XDP program to the network interface called `interface`.
    ///
    /// `flags` are the kernel's ``XDP_FLAGS_*``: 2 runs it in the network stack, where every driver allows it.
    /// Kernel: 5.9 or newer. Privilege: `CAP_NET_ADMIN` and `CAP_BPF`. It is detached with the link.
    #[pyo3(signature = (program, interface, *, flags = 0))]
    fn attach_xdp(&self, py: Python<'_>, program: &str, interface: &str, flags: u32) -> PyResult<Link> {
        self.attach(py, program, &["xdp"], |fd, _| attach::xdp::attach(fd, interface, flags))
    }

    /// Open a raw packet socket with a socket filter program as its filter; return its file descriptor.
    ///
    /// It receives what the program lets through of the packets of `interface`, of all interfaces if that is empty.
    /// It does not block. The descriptor is the caller's: ``socket.socket(fileno=...)`` takes it over.
    /// Privilege: `CAP_NET_RAW`.
    fn open_raw_socket(&self, py: Python<'_>, program: &str, interface: &str) -> PyResult<i32> {
        let opened = self.with_kind(py, program, &["socket"], |fd, _| attach::raw_socket::open(fd, interface))?;
        Ok(opened.into_raw_fd())
    }

    /// Attach a program to what `fd` is a descriptor of: a cgroup's folder, or a map of sockets.
    ///
    /// `attach_type` is the kernel's number (``BPF_CGROUP_INET_EGRESS`` is 1), `flags` are its ``BPF_F_ALLOW_*``.
    /// The kernel keeps such a program attached after the end of the process; closing the link detaches it.
    #[pyo3(signature = (program, fd, attach_type, flags = 0))]
    fn attach_to_fd(&self, py: Python<'_>, program: &str, fd: i32, attach_type: u32, flags: u32) -> PyResult<Link> {
        Ok(py.detach(|| {
            self.with_program(program, |program| {
                let program = (program.kind.name, program.name.as_str(), program.fd.as_fd());
                attach::to_fd::attach(program, fd, attach_type, flags)
            })
        })?)
    }

    /// Attach a program to the tracepoint `category`:`name`. Works where tracefs is not mounted.
    fn attach_tracepoint(&self, py: Python<'_>, program: &str, category: &str, name: &str) -> PyResult<Link> {
        self.attach(py, program, &["tracepoint"], |fd, _| attach::tracepoint::attach(fd, category, name))
    }

    /// Attach a program to the raw tracepoint `name`. Needs no tracefs.
    fn attach_raw_tracepoint(&self, py: Python<'_>, program: &str, name: &str) -> PyResult<Link> {
        self.attach(py, program, &["raw tracepoint"], |fd, _| attach::raw_tracepoint::attach(fd, name))
    }

    /// Attach a program to what it was loaded for: one of the kinds fentry, fexit, `fmod_ret`, lsm, btf tracepoint.
    ///
    /// Kernel: 5.5 or newer; 5.7 for `fmod_ret` and lsm.
    fn attach_trampoline(&self, py: Python<'_>, program: &str) -> PyResult<Link> {
        self.attach(py, program, &["fentry", "fexit", "fmod_ret", "lsm", "btf tracepoint"], |fd, program| {
            attach::trampoline::attach(fd, program.kind.name, program.target.as_deref().unwrap_or_default())
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Let go of the programs and maps. Doing it again changes nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            drop(self.state.lock().unwrap_or_else(PoisonError::into_inner).take());
            self.maps.close();
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
