//! Reading a ring buffer: one thread drains it, Python takes whole batches.
//!
//! The thread and a caller of `read` share one growing buffer under a lock; either may move records from the ring
//! into it, so that a read never misses what was committed before it began. Bytes are copied once, from the ring to
//! memory that numpy then owns. When the buffer is full nobody drains: the ring fills up, and the programs count
//! what they could not write.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pyo3::{prelude::*, types::PyAny};

use crate::{
    array,
    error::Error,
    layout::Layout,
    sys::{event, ring::MappedRing},
    warning,
};

/// How long the thread waits for the kernel to wake it before it looks by itself: programs wake it for many records
/// at once only.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a read blocks before it lets the interpreter look at signals.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

struct State {
    ring: MappedRing,
    records: Vec<u8>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Rings when records have come, when some were taken, and at the end.
    changed: Condvar,
    record_size: usize,
    max_bytes: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Move what is committed from the ring to the buffer, as far as it fits.
    fn drain(&self, state: &mut State) {
        let State { ring, records, .. } = state;
        let waiting = usize::try_from(ring.waiting()).unwrap_or(usize::MAX);
        if waiting == 0 {
            return;
        }
        // What waits includes headers: always enough, so that the loop below never allocates.
        records.reserve(waiting.min(self.max_bytes.saturating_sub(records.len())));
        let size = self.record_size;
        ring.consume(|record| {
            if records.len() + size > self.max_bytes {
                return false;
            }
            // A ring holds records of one type; what is shorter or longer was not written by its programs.
            if record.len() >= size {
                records.extend_from_slice(&record[..size]);
            }
            true
        });
    }

    /// Drain until the end.
    fn run(&self, ring: &OwnedFd, stop: &OwnedFd) {
        loop {
            let mut state = self.lock();
            while !state.closed && state.records.len() + self.record_size > self.max_bytes {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return;
            }
            let before = state.records.len();
            self.drain(&mut state);
            let came = state.records.len() > before;
            drop(state);
            if came {
                self.changed.notify_all();
            }
            event::wait_readable(ring.as_fd(), stop.as_fd(), LOOK_AGAIN);
        }
    }
}

/// Records from a ring buffer, drained by a thread of its own.
///
/// Obtained from :meth:`Object.ring_buffer`. A context manager; what was not read is gone when it is closed.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct RingBuffer {
    name: String,
    layout: Layout,
    shared: Arc<Shared>,
    stop: OwnedFd,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RingBuffer {
    pub(crate) fn new(
        name: &str,
        layout: Layout,
        map: OwnedFd,
        ring_bytes: usize,
        max_bytes: usize,
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Map { operation: "read", map: name.to_owned(), source };
        let record_size = layout.size();
        if record_size == 0 || max_bytes < record_size {
            return Err(Error::Value(format!(
                "max_bytes must hold one record of {record_size} bytes, not {max_bytes}"
            )));
        }
        let ring = MappedRing::new(map.as_fd(), ring_bytes).map_err(failed)?;
        let state = Mutex::new(State { ring, records: Vec::new(), closed: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), record_size, max_bytes });
        let stop = event::new().map_err(failed)?;
        let (for_thread, stop_seen) = (Arc::clone(&shared), stop.try_clone().map_err(failed)?);
        let run = move || for_thread.run(&map, &stop_seen);
        let thread = thread::Builder::new().name("rtrace-reader".into()).spawn(run).map_err(failed)?;
        Ok(Self { name: name.to_owned(), layout, shared, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Wait until records are there, the end has come, or `until`; return what there is.
    fn take(&self, until: Option<Instant>) -> Option<Vec<u8>> {
        let mut state = self.shared.lock();
        if !state.closed {
            self.shared.drain(&mut state);
        }
        let left = until.map_or(SIGNAL_CHECK, |until| until.saturating_duration_since(Instant::now()));
        if state.records.is_empty() && !state.closed && !left.is_zero() {
            let waited = self.shared.changed.wait_timeout(state, left.min(SIGNAL_CHECK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed {
            return None;
        }
        let records = std::mem::take(&mut state.records);
        drop(state);
        self.shared.changed.notify_all();
        Some(records)
    }
}

#[pymethods]
impl RingBuffer {
    /// Name of the map.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// numpy dtype of a record.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.layout.dtype(py)
    }

    /// Take every committed record out of the ring buffer.
    ///
    /// Waits up to `timeout` seconds for the first record; ``None`` waits for ever, 0 never waits. Returns a numpy
    /// array of :attr:`dtype`, shape ``(n,)``, n may be 0, in the order of commits; it owns its memory. Raises
    /// :class:`~rtrace.errors.ClosedError` after :meth:`close`.
    #[pyo3(signature = (timeout = None))]
    fn read<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let until = match timeout {
            None => None,
            Some(seconds) => {
                let wait = Duration::try_from_secs_f64(seconds)
                    .map_err(|_| Error::Value(format!("timeout is a time in seconds, not {seconds}")))?;
                Instant::now().checked_add(wait)
            }
        };
        loop {
            let taken = py.detach(|| self.take(until));
            let records = taken.ok_or_else(|| Error::Closed(format!("ring buffer `{}`", self.name)))?;
            let over = until.is_some_and(|until| Instant::now() >= until);
            if !records.is_empty() || over {
                return array::from_bytes(py, records, &self.layout, None);
            }
            py.check_signals()?;
        }
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// End the thread and let go of the ring buffer. Doing it again changes nothing.
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
        format!("<RingBuffer {} record={} bytes>", self.name, self.shared.record_size)
    }
}

impl RingBuffer {
    fn end(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        event::signal(self.stop.as_fd());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It can only have panicked, and has nothing left to say then.
            let _ = thread.join();
        }
        self.shared.lock().records = Vec::new();
    }
}

impl Drop for RingBuffer {
    fn drop(&mut self) {
        if !self.closed() {
            self.end();
            warning::unclosed(&self.__repr__());
        }
    }
}
