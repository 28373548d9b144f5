//! Perf buffers: a ring for each CPU, that programs write records of any size to.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    array,
    batch::{Batch, Queue, Source},
    error::Error,
    layout::Layout,
    sys::{bpf, epoll, perf_ring::PerfRing},
    warning,
};

/// The rings of all CPUs, and the map by which programs find them.
struct Rings {
    map: OwnedFd,
    rings: Vec<(u32, PerfRing)>,
}

impl Rings {
    fn open(map: OwnedFd, pages: usize, wakeup_events: u32, wake: &OwnedFd) -> io::Result<Self> {
        let mut opened = Self { map, rings: Vec::new() };
        for cpu in online_cpus()? {
            let ring = match PerfRing::new(cpu, pages, wakeup_events) {
                // Gone offline since.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
                result => result?,
            };
            epoll::add(wake.as_fd(), ring.event())?;
            let descriptor = ring.event().as_raw_fd().to_ne_bytes();
            bpf::map_update(opened.map.as_fd(), &cpu.to_ne_bytes(), &descriptor, 0)?;
            opened.rings.push((cpu, ring));
        }
        Ok(opened)
    }

    fn lost(&self) -> BTreeMap<u32, u64> {
        self.rings.iter().map(|(cpu, ring)| (*cpu, ring.lost())).collect()
    }
}

impl Source for Rings {
    fn drain(&mut self, batch: &mut Batch) -> io::Result<()> {
        for (cpu, ring) in &mut self.rings {
            ring.drain(|length, copy| batch.push(*cpu, length, copy));
        }
        Ok(())
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        // The map would keep the events: programs would go on writing to buffers that nobody reads.
        for (cpu, _) in &self.rings {
            let _ = bpf::map_delete(self.map.as_fd(), &cpu.to_ne_bytes());
        }
    }
}

/// Return the numbers of the CPUs that run.
fn online_cpus() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let mut cpus = Vec::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(number(first)?..=number(last)?);
    }
    Ok(cpus)
}

/// Records that programs send through a perf event array, from a ring of each CPU.
///
/// Obtained from :meth:`Object.perf_buffer`. A context manager. What was not read is gone when it is closed, and
/// programs then find nowhere to write to.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct PerfBuffer {
    name: String,
    layout: Option<Layout>,
    queue: Queue<Rings>,
    /// What had been lost at the end.
    lost_at_end: Mutex<BTreeMap<u32, u64>>,
}

impl PerfBuffer {
    pub(crate) fn new(
        name: &str,
        layout: Option<Layout>,
        map: OwnedFd,
        pages: usize,
        wakeup_events: u32,
    ) -> Result<Self, Error> {
        if !pages.is_power_of_two() || wakeup_events == 0 {
            let wanted = "pages must be a power of two, wakeup_events at least 1";
            return Err(Error::Value(format!("{wanted}, not {pages} and {wakeup_events}")));
        }
        let failed = |source: io::Error| {
            Error::or_privilege(source, format!("open perf buffer `{name}`"), |source| Error::Map {
                operation: "open perf buffer of",
                map: name.to_owned(),
                source,
            })
        };
        let wake = epoll::new().map_err(failed)?;
        let rings = Rings::open(map, pages, wakeup_events, &wake).map_err(failed)?;
        let queue = Queue::new(format!("perf buffer `{name}`"), rings, wake);
        Ok(Self { name: name.to_owned(), layout, queue, lost_at_end: Mutex::default() })
    }

    pub(crate) fn queue(&self) -> &Queue<impl Source> {
        &self.queue
    }

    fn end(&self) {
        self.queue.close(|rings| {
            *self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner) = rings.lost();
        });
    }
}

/// Turn records of any size into the bytes of an array: what is shorter than its type ends in zeros.
pub(crate) fn append(into: &mut Vec<u8>, record: &[u8], size: usize) {
    let end = into.len() + size;
    into.extend_from_slice(&record[..record.len().min(size)]);
    into.resize(end, 0);
}

/// Return the type of a buffer's records, or say that it has none.
pub(crate) fn layout_of<'a>(layout: Option<&'a Layout>, name: &str) -> Result<&'a Layout, Error> {
    layout.ok_or_else(|| Error::Type(format!("records of `{name}` have no type: give `record_bytes` or poll them")))
}

#[pymethods]
impl PerfBuffer {
    /// Name of the map.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// numpy dtype of a record, ``None`` if it is not known.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.layout.as_ref().map(|layout| layout.dtype(py)).transpose()
    }

    /// Call ``callback(cpu, address, size)`` for every record that is there; return how many there were.
    ///
    /// Waits up to `timeout` seconds for the first one; ``None`` waits for ever, 0 never waits. `size` bytes lie at
    /// `address`, a copy that stays for the time of the call; the kernel rounds sizes up to 4 more than a multiple
    /// of 8. Records of one CPU come in their order. An exception of the callback ends the call and is raised; the
    /// records after that one come with the next call.
    #[pyo3(signature = (timeout, callback))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.queue.poll(py, timeout, callback, true)
    }

    /// Take every record that is there, as two numpy arrays: the CPUs they came from, and the records.
    ///
    /// Waits up to `timeout` seconds for the first record; ``None`` waits for ever, 0 never waits. Both arrays have
    /// shape ``(n,)``, n may be 0, and own their memory; the CPUs are ``uint32``, the records of :attr:`dtype`. What is
    /// longer than that is cut, what is shorter ends in zeros. Records of one CPU are in their order.
    #[pyo3(signature = (timeout = None))]
    fn read<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let layout = layout_of(self.layout.as_ref(), &self.name)?;
        let (mut cpus, mut records) = (Vec::new(), Vec::new());
        self.queue.read(py, timeout, |batch| {
            for (cpu, record) in batch.rest() {
                cpus.extend_from_slice(&cpu.to_ne_bytes());
                append(&mut records, record, layout.size());
            }
        })?;
        let cpus = array::from_bytes(py, cpus, &Layout::Number('u', 4), None)?;
        Ok((cpus, array::from_bytes(py, records, layout, None)?))
    }

    /// Records that found no room, by CPU; stays readable after :meth:`close`.
    ///
    /// Exact at any moment on Linux 6.0 and newer. Before, the kernel tells of losses when there is room again.
    #[getter]
    fn lost(&self) -> BTreeMap<u32, u64> {
        let at_end = || self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.queue.with(|rings| rings.lost()).unwrap_or_else(|_| at_end())
    }

    /// Return the file descriptor that is readable when records have come.
    ///
    /// For an event loop's selector; polling or reading with a `timeout` of 0 then takes them.
    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.queue.wake()?.as_raw_fd())
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Let go of the rings. Doing it again changes nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<PerfBuffer {}>", self.name)
    }
}

impl Drop for PerfBuffer {
    fn drop(&mut self) {
        if !self.closed() {
            self.end();
            warning::unclosed(&self.__repr__());
        }
    }
}
