//! Reading a ring buffer: one thread drains it, Python takes whole batches.
//!
//! The thread and a caller of `read` share what is [`held`](crate::held) under a lock; either may move records from
//! the ring into it, so that a read never misses what was committed before it began. Bytes are copied once, from the
//! ring to memory that numpy then owns.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pyo3::{
    prelude::*,
    types::{PyAny, PyDict},
};

use crate::{
    array,
    error::Error,
    held::{Batch, Held, WhenFull},
    layout::Layout,
    sys::{event, process::Process, ring::MappedRing},
    warning,
};

/// How long the thread waits for the kernel to wake it before it looks by itself: programs wake it for many records
/// at once only.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long records gather before the next look, in a flood: there is always something then, and a few large batches
/// cost much less than many small ones.
const GATHER: Duration = Duration::from_millis(1);
/// Size of a ring that does not fill up meanwhile.
const ROOMY: usize = 1 << 20;
/// How long a read blocks before it lets the interpreter look at signals.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

struct State {
    /// Its memory keeps the map in the kernel, as the map's descriptor does, so both are let go of at the end and not with
    /// the last reference.
    ring: Option<(MappedRing, OwnedFd)>,
    held: Held,
    /// Readable while there is something to read; made for the first who asks.
    ready: Option<OwnedFd>,
    is_ready: bool,
    /// When records were last taken.
    taken: Instant,
    /// Nothing will come any more: the ring cannot be read, or was closed.
    ended: bool,
}

impl State {
    /// Move what is committed from the ring to what is held, as far as it may.
    fn drain(&mut self) -> io::Result<()> {
        let Some((ring, _)) = self.ring.as_mut() else { return Ok(()) };
        let mut view = ring.view();
        let waiting = usize::try_from(view.waiting()).unwrap_or(usize::MAX);
        if waiting == 0 {
            return Ok(());
        }
        // What waits includes headers, so that it is always enough.
        self.held.make_room(waiting);
        let held = &mut self.held;
        let result = view.consume(|record| held.push(record));
        self.ended |= result.is_err();
        self.tell();
        Ok(result?)
    }

    /// Make the descriptor readable if there is something to read or nothing will ever come, and unreadable if not.
    fn tell(&mut self) {
        let ready = self.ended || !self.held.is_empty();
        if let Some(event) = self.ready.as_ref()
            && ready != self.is_ready
        {
            self.is_ready = ready;
            if ready { event::signal(event.as_fd()) } else { event::reset(event.as_fd()) }
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// How long to let records gather.
    gather: Duration,
    /// Rings when records have come, when some were taken, and at the end.
    changed: Condvar,
    /// Set while the state is locked.
    closed: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Drain until the end. The descriptors are closed after that only.
    fn run(&self, ring: RawFd, stop: RawFd) {
        loop {
            let mut state = self.lock();
            while !self.is_closed() && state.held.is_waiting() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if self.is_closed() {
                return;
            }
            let drained = state.drain();
            let came = !state.held.is_empty();
            drop(state);
            self.changed.notify_all();
            if drained.is_err() {
                // The next read finds the same, and says so.
                return;
            }
            if came {
                event::wait_readable([stop], self.gather);
            }
            event::wait_readable([ring, stop], LOOK_AGAIN);
        }
    }
}

/// Records from a ring buffer, drained by a thread of its own.
///
/// Obtained from :meth:`Object.ring_buffer`. A context manager; what was not read is gone when it is closed. It belongs
/// to the process that opened it: to a child of ``fork`` everything but :meth:`close` raises
/// :class:`~rtrace.errors.OtherProcessError`, and nothing that the child does with its copy takes records from its parent.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct RingBuffer {
    name: String,
    layout: Layout,
    shared: Arc<Shared>,
    stop: OwnedFd,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The one that the thread is in.
    process: Process,
}

impl RingBuffer {
    pub(crate) fn new(
        name: &str,
        layout: Layout,
        map: OwnedFd,
        ring_bytes: usize,
        (max_bytes, when_full): (usize, WhenFull),
    ) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Map { operation: "read", map: name.to_owned(), source };
        let record_size = layout.size();
        let held = Held::new(record_size, max_bytes, when_full).ok_or_else(|| {
            Error::Value(format!("max_bytes must hold one record of {record_size} bytes, not {max_bytes}"))
        })?;
        let ring = MappedRing::new(map.as_fd(), ring_bytes).map_err(failed)?;
        let gather = if ring_bytes < ROOMY { Duration::ZERO } else { GATHER };
        let taken = Instant::now().checked_sub(gather).unwrap_or_else(Instant::now);
        let stop = event::new().map_err(failed)?;
        let (map_seen, stop_seen) = (map.as_raw_fd(), stop.as_raw_fd());
        let state = State { ring: Some((ring, map)), held, ready: None, is_ready: false, taken, ended: false };
        let closed = AtomicBool::new(false);
        let shared = Arc::new(Shared { state: Mutex::new(state), gather, changed: Condvar::new(), closed });
        let for_thread = Arc::clone(&shared);
        let run = move || for_thread.run(map_seen, stop_seen);
        let thread = thread::Builder::new().name("rtrace-reader".into()).spawn(run).map_err(failed)?;
        let (thread, process) = (Mutex::new(Some(thread)), Process::this());
        Ok(Self { name: name.to_owned(), layout, shared, stop, thread, process })
    }

    /// Lock the state, unless it is another process's: a thread that is not here may have it locked for ever.
    fn lock(&self) -> Result<MutexGuard<'_, State>, Error> {
        if self.closed() {
            return Err(self.is_closed());
        }
        Error::unless_ours(self.process, || self.what())?;
        Ok(self.shared.lock())
    }

    /// Wait until records are there, the end has come, or `until`; return what there is.
    fn take(&self, until: Option<Instant>) -> Result<Batch, Error> {
        let mut state = self.lock()?;
        let left = |until: Option<Instant>| {
            until.map_or(SIGNAL_CHECK, |until| until.saturating_duration_since(Instant::now())).min(SIGNAL_CHECK)
        };
        // Whoever comes again at once, and may wait, waits for a batch.
        let gather = self.shared.gather.saturating_sub(state.taken.elapsed()).min(left(until));
        if !gather.is_zero() {
            drop(state);
            event::wait_readable([self.stop.as_raw_fd()], gather);
            state = self.shared.lock();
        }
        let mut drained = Ok(());
        if !self.closed() {
            drained = state.drain();
        }
        let left = left(until);
        if state.held.is_empty() && !self.closed() && drained.is_ok() && !left.is_zero() {
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if self.closed() {
            return Err(self.is_closed());
        }
        if state.held.is_empty() {
            drained.map_err(|source| Error::Map { operation: "read", map: self.name.clone(), source })?;
        }
        let records = state.held.take();
        state.taken = Instant::now();
        state.tell();
        drop(state);
        self.shared.changed.notify_all();
        Ok(records)
    }

    fn is_closed(&self) -> Error {
        Error::Closed(self.what())
    }

    fn what(&self) -> String {
        format!("ring buffer `{}`", self.name)
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
            let batch = py.detach(|| self.take(until))?;
            let over = until.is_some_and(|until| Instant::now() >= until);
            if !batch.is_empty() || over {
                let bytes = py.detach(|| batch.into_bytes());
                return array::from_bytes(py, bytes, &self.layout, None);
            }
            py.check_signals()?;
        }
    }

    /// Return a descriptor that is readable while records wait to be read, and after :meth:`close`.
    ///
    /// For ``select``, ``epoll`` and event loops; nothing is to be read from it. It belongs to this object, and goes
    /// with it. Records that do not wake the reader make it readable 50 ms later at the latest.
    fn fileno(&self) -> PyResult<RawFd> {
        let mut state = self.lock()?;
        if state.ready.is_none() {
            state.ready = Some(event::new()?);
            state.tell();
        }
        state.ready.as_ref().map(AsRawFd::as_raw_fd).ok_or_else(|| self.is_closed().into())
    }

    /// Return how many records were read from the ring and not kept, by cause.
    ///
    /// ``records_dropped``: for want of room; ``records_too_short``: of a size that no record has. What did not occur
    /// is left out. What programs could not write to the ring, they have to count themselves.
    fn losses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Error::unless_ours(self.process, || self.what())?;
        let (dropped, too_short) = py.detach(|| self.shared.lock().held.losses());
        let losses = PyDict::new(py);
        for (cause, count) in [("records_dropped", dropped), ("records_too_short", too_short)] {
            if count > 0 {
                losses.set_item(cause, count)?;
            }
        }
        Ok(losses)
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.shared.is_closed()
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
        format!("<RingBuffer {} record={} bytes>", self.name, self.layout.size())
    }
}

impl RingBuffer {
    fn end(&self) {
        if !self.process.is_this() {
            self.leave();
            return;
        }
        let mut state = self.shared.lock();
        self.shared.closed.store(true, Ordering::Relaxed);
        state.ended = true;
        // Who waits for the descriptor finds the end then.
        state.tell();
        drop(state);
        self.shared.changed.notify_all();
        event::signal(self.stop.as_fd());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It can only have panicked, and has nothing left to say then.
            let _ = thread.join();
        }
        let mut state = self.shared.lock();
        drop((state.held.take(), state.ring.take()));
    }

    /// Let go of what a child of `fork` has of its parent's: descriptors and the ring's memory, which it has inherited.
    ///
    /// The thread is not here. If it had the lock at that moment, what that guards stays until the end of the child.
    fn leave(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Ok(mut state) = self.shared.state.try_lock() {
            drop((state.held.take(), state.ring.take(), state.ready.take()));
        }
    }
}

impl Drop for RingBuffer {
    fn drop(&mut self) {
        let ours = self.process.is_this();
        if !self.closed() {
            self.end();
            // Who has opened it has to close it, not a child that has a copy.
            if ours {
                warning::unclosed(&self.__repr__());
            }
        }
        if !ours {
            // Its number may be another thread's by now.
            mem::forget(self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}
