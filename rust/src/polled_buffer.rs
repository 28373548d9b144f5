//! What perf buffers and record buffers have in common: records of any size, read by whoever asks, until it is closed.

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{Mutex, PoisonError},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    batch::{Queue, Source},
    error::Error,
    layout::Layout,
    warning,
};

/// Records of any size that programs send: the base of :class:`PerfBuffer` and :class:`RecordBuffer`.
///
/// A context manager. What was not read is gone when it is closed. It belongs to the process that opened it: to a child
/// of ``fork`` everything but :meth:`close` raises :class:`~rtrace.errors.OtherProcessError`, and nothing that the child
/// does with its copy takes records from its parent.
#[pyclass(frozen, subclass, module = "rtrace._rtrace")]
pub(crate) struct PolledBuffer {
    /// Name of the Python class.
    class: &'static str,
    name: String,
    layout: Option<Layout>,
    queue: Queue,
    /// What had been lost at the end.
    lost_at_end: Mutex<Option<BTreeMap<u32, u64>>>,
}

impl PolledBuffer {
    pub(crate) fn new(
        class: &'static str,
        name: &str,
        layout: Option<Layout>,
        source: Box<dyn Source>,
        wake: OwnedFd,
    ) -> Self {
        let queue = Queue::new(format!("{} `{name}`", source.kind()), source, wake);
        Self { class, name: name.to_owned(), layout, queue, lost_at_end: Mutex::default() }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Return the type of the records, or say that they have none.
    pub(crate) fn layout(&self) -> Result<&Layout, Error> {
        let name = &self.name;
        let untyped = || Error::Type(format!("records of `{name}` have no type: give `record_bytes` or poll them"));
        self.layout.as_ref().ok_or_else(untyped)
    }

    fn end(&self) {
        self.queue.close(|source| {
            *self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner) = source.lost().ok().flatten();
        });
    }
}

/// Turn a record of any size into the bytes of an array: what is shorter than its type ends in zeros.
pub(crate) fn append(into: &mut Vec<u8>, record: &[u8], size: usize) {
    let end = into.len() + size;
    into.extend_from_slice(&record[..record.len().min(size)]);
    into.resize(end, 0);
}

#[pymethods]
impl PolledBuffer {
    /// Name of the map.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// numpy dtype of a record, as :attr:`Map.key_dtype` is of a key; ``None`` if it is not known.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.layout.as_ref().map(|layout| layout.dtype(py)).transpose()
    }

    /// Call ``callback(cpu, address, size)`` for every record that is there; return how many there were.
    ///
    /// Waits up to `timeout` seconds for the first one; ``None`` waits for ever, 0 never waits. `size` bytes lie at
    /// `address`, a copy that stays for the time of the call. An exception of the callback ends the call and is
    /// raised; the records after that one come with the next call.
    ///
    /// `cpu` is ``None`` for a :class:`RecordBuffer`, whose records come in the order in which programs reserved them.
    /// Those of a :class:`PerfBuffer` come in the order of each CPU, and the kernel rounds their sizes up to 4 more
    /// than a multiple of 8.
    #[pyo3(signature = (timeout, callback))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.queue.poll(py, timeout, callback)
    }

    /// Records that found no room, by CPU; stays readable after :meth:`close`.
    ///
    /// Of a perf buffer, exact at any moment on Linux 6.0 and newer; before, the kernel tells of losses when there is
    /// room again. Of a ring buffer, as the programs count them in the map `NAME__lost`, and ``None`` if there is no
    /// such map, for the kernel itself does not count.
    #[getter]
    fn lost(&self) -> PyResult<Option<BTreeMap<u32, u64>>> {
        match self.queue.with(|source| source.lost()) {
            Err(Error::Closed(_)) => Ok(self.lost_at_end.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            result => Ok(result??),
        }
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

    /// Let go of the kernel's memory. Doing it again changes nothing.
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
        format!("<{} {}>", self.class, self.name)
    }
}

impl Drop for PolledBuffer {
    fn drop(&mut self) {
        if !self.closed() {
            self.end();
            // Who has opened it has to close it, not a child that has a copy.
            if self.queue.is_ours() {
                warning::unclosed(&self.__repr__());
            }
        }
    }
}
