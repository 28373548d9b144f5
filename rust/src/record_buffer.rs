//! Ring buffers whose records differ in size, read by whoever asks: no thread, no assumption about their type.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    array,
    batch::{Batch, Queue, Source},
    error::Error,
    layout::Layout,
    perf_buffer::{append, layout_of},
    sys::{bpf, ring::MappedRing},
    warning,
};

/// A ring, and the map in which programs count what it had no room for.
struct CountedRing {
    ring: MappedRing,
    losses: Option<LossMap>,
}

impl Source for CountedRing {
    fn drain(&mut self, batch: &mut Batch) -> io::Result<()> {
        Ok(self.ring.view().consume(|record| {
            batch.push(0, record.len(), |into| into.copy_from_slice(record));
            true
        })?)
    }
}

/// A per-CPU array in which programs count what found no room.
pub(crate) struct LossMap {
    pub(crate) map: OwnedFd,
    pub(crate) cpus: usize,
}

impl LossMap {
    fn read(&self) -> io::Result<BTreeMap<usize, u64>> {
        let mut values = vec![0; 8 * self.cpus];
        bpf::map_lookup(self.map.as_fd(), &0_u32.to_ne_bytes(), &mut values)?;
        let number = |value: &[u8]| value.try_into().map_or(0, u64::from_ne_bytes);
        Ok(values.chunks_exact(8).map(number).enumerate().collect())
    }
}

/// Records of any size that programs send through a ring buffer.
///
/// Obtained from :meth:`Object.record_buffer`. A context manager; what was not read is gone when it is closed. There
/// may be one reader of a ring buffer at a time, this or a :class:`RingBuffer`.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct RecordBuffer {
    name: String,
    layout: Option<Layout>,
    queue: Queue<CountedRing>,
    /// What had been lost at the end.
    lost_at_end: Mutex<Option<BTreeMap<usize, u64>>>,
}

impl RecordBuffer {
    pub(crate) fn new(
        name: &str,
        layout: Option<Layout>,
        map: OwnedFd,
        ring_bytes: usize,
        losses: Option<LossMap>,
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Map { operation: "read", map: name.to_owned(), source };
        let ring = MappedRing::new(map.as_fd(), ring_bytes).map_err(failed)?;
        let queue = Queue::new(format!("ring buffer `{name}`"), CountedRing { ring, losses }, map);
        Ok(Self { name: name.to_owned(), layout, queue, lost_at_end: Mutex::default() })
    }

    fn end(&self) {
        self.queue.close(|source| {
            let lost = source.losses.and_then(|losses| losses.read().ok());
            *self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner) = lost;
        });
    }

    pub(crate) fn queue(&self) -> &Queue<impl Source> {
        &self.queue
    }
}

#[pymethods]
impl RecordBuffer {
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

    /// Call ``callback(None, address, size)`` for every record that is there; return how many there were.
    ///
    /// Waits up to `timeout` seconds for the first one; ``None`` waits for ever, 0 never waits. `size` bytes lie at
    /// `address`, a copy that stays for the time of the call. Records come in the order in which programs reserved
    /// them. An exception of the callback ends the call and is raised; the records after that one come with the next
    /// call.
    #[pyo3(signature = (timeout, callback))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.queue.poll(py, timeout, callback, false)
    }

    /// Take every record that is there, as a numpy array of :attr:`dtype`, shape ``(n,)``, that owns its memory.
    ///
    /// Waits up to `timeout` seconds for the first record; ``None`` waits for ever, 0 never waits. What is longer than
    /// the dtype is cut, what is shorter ends in zeros.
    #[pyo3(signature = (timeout = None))]
    fn read<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let layout = layout_of(self.layout.as_ref(), &self.name)?;
        let mut records = Vec::new();
        self.queue.read(py, timeout, |batch| {
            batch.rest().for_each(|(_, record)| append(&mut records, record, layout.size()));
        })?;
        array::from_bytes(py, records, layout, None)
    }

    /// Records that found no room, by CPU, as the programs count them in the map `NAME__lost`; ``None`` if there is no
    /// such map, for the kernel itself does not count. Stays readable after :meth:`close`.
    #[getter]
    fn lost(&self) -> PyResult<Option<BTreeMap<usize, u64>>> {
        let at_end = || Ok(self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let now = |source: &mut CountedRing| source.losses.as_ref().map(LossMap::read).transpose();
        Ok(self.queue.with(now).unwrap_or_else(|_| at_end())?)
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

    /// Let go of the ring buffer. Doing it again changes nothing.
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
        format!("<RecordBuffer {}>", self.name)
    }
}

impl Drop for RecordBuffer {
    fn drop(&mut self) {
        if !self.closed() {
            self.end();
            warning::unclosed(&self.__repr__());
        }
    }
}
