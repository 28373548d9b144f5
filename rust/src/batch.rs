//! Records on their way from the kernel's buffers to Python: copied out in batches, delivered one by one or as a whole.
//!
//! A batch is in one place only: being filled, waiting, or being delivered. A callback that fails puts back what it
//! has not seen, so that nothing is lost and nothing comes twice.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pyo3::{IntoPyObjectExt, prelude::*};

use crate::{
    error::Error,
    sys::{epoll, process::Process, python::Callback},
};

/// How long a wait blocks before it lets the interpreter look at signals, and looks for records by itself: programs may
/// have been told to wake the reader for many at once only.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);
/// Records after which the interpreter looks at signals, should the callback not be Python's.
const SIGNAL_RECORDS: usize = 4096;

/// Many records, one after the other, and where each came from.
#[derive(Default)]
pub(crate) struct Batch {
    /// Memory that only grows, so that it is zeroed once; the first `used` bytes of it are records.
    bytes: Vec<u8>,
    used: usize,
    records: Vec<Record>,
    /// The first that has not been delivered.
    next: usize,
}

#[derive(Clone, Copy)]
struct Record {
    source: u32,
    length: u32,
    start: usize,
}

impl Record {
    /// Where its bytes are.
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.length as usize
    }
}

impl Batch {
    /// Add a record, given as its two parts; the second is empty where it does not wrap around the end of a ring.
    pub(crate) fn push(&mut self, source: u32, first: &[u8], rest: &[u8]) {
        // As aligned as any struct's fields want to be.
        let start = self.used.next_multiple_of(8);
        let middle = start + first.len();
        let end = middle + rest.len();
        if end > self.bytes.len() {
            self.bytes.resize(end.next_power_of_two(), 0);
        }
        self.bytes[start..middle].copy_from_slice(first);
        if !rest.is_empty() {
            self.bytes[middle..end].copy_from_slice(rest);
        }
        self.used = end;
        // No ring has records of 4 GiB.
        let length = u32::try_from(end - start).unwrap_or(u32::MAX);
        self.records.push(Record { source, length, start });
    }

    fn is_empty(&self) -> bool {
        self.next == self.records.len()
    }

    fn clear(&mut self) {
        self.used = 0;
        self.records.clear();
        self.next = 0;
    }

    /// Return the records that were not delivered: their source, and their bytes.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.records[self.next..].iter().map(|record| (record.source, &self.bytes[record.range()]))
    }
}

/// Where records come from.
pub(crate) trait Source: Send {
    /// What it is, for messages.
    fn kind(&self) -> &'static str;

    /// Whether the source of a record is the CPU that it was written on; else it has none.
    fn is_by_cpu(&self) -> bool;

    /// Copy what is there into a batch.
    fn drain(&mut self, batch: &mut Batch) -> io::Result<()>;

    /// Return how many records found no room, by CPU; `None` if nobody counts.
    fn lost(&self) -> io::Result<Option<BTreeMap<u32, u64>>>;
}

struct State {
    source: Box<dyn Source>,
    waiting: VecDeque<Batch>,
    /// An empty batch whose memory is used again.
    spare: Batch,
    /// Readable when records have come.
    wake: Arc<OwnedFd>,
}

/// Records of one source, for whoever asks.
pub(crate) struct Queue {
    /// What it is, for messages.
    what: String,
    state: Mutex<Option<State>>,
    is_by_cpu: bool,
    closed: AtomicBool,
    process: Process,
}

/// Until when to wait; `None` is for ever.
pub(crate) fn deadline(timeout: Option<f64>) -> Result<Option<Instant>, Error> {
    let Some(seconds) = timeout else { return Ok(None) };
    let wait = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::Value(format!("timeout is a time in seconds, not {seconds}")))?;
    Ok(Instant::now().checked_add(wait))
}

/// Wait until one of the descriptors is readable, the end has come, or signals must be looked at.
pub(crate) fn wait(wakes: &[Arc<OwnedFd>], until: Option<Instant>) {
    let left = until.map_or(SIGNAL_CHECK, |until| until.saturating_duration_since(Instant::now()));
    let descriptors: Vec<_> = wakes.iter().map(|wake| wake.as_fd()).collect();
    epoll::wait_any(&descriptors, left.min(SIGNAL_CHECK));
}

pub(crate) fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

impl Queue {
    pub(crate) fn new(what: String, source: Box<dyn Source>, wake: OwnedFd) -> Self {
        let is_by_cpu = source.is_by_cpu();
        let state = State { source, waiting: VecDeque::new(), spare: Batch::default(), wake: Arc::new(wake) };
        Self {
            what,
            state: Mutex::new(Some(state)),
            is_by_cpu,
            closed: AtomicBool::new(false),
            process: Process::this(),
        }
    }

    /// Run `operation` on the source.
    pub(crate) fn with<T>(&self, operation: impl FnOnce(&dyn Source) -> T) -> Result<T, Error> {
        self.with_state(|state| operation(&*state.source))
    }

    fn with_state<T>(&self, operation: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        let is_closed = || Error::Closed(self.what.clone());
        if self.is_closed() {
            return Err(is_closed());
        }
        Error::unless_ours(self.process, || self.what.clone())?;
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(operation(guard.as_mut().ok_or_else(is_closed)?))
    }

    /// Take what is there, without waiting; `None` if it is nothing.
    fn take(&self) -> Result<Option<Batch>, Error> {
        let taken = self.with_state(|state| {
            if let Some(batch) = state.waiting.pop_front() {
                return Ok(Some(batch));
            }
            let mut batch = std::mem::take(&mut state.spare);
            state.source.drain(&mut batch)?;
            if batch.is_empty() {
                state.spare = batch;
                return Ok(None);
            }
            Ok(Some(batch))
        })?;
        taken.map_err(|source| Error::System { operation: format!("read {}", self.what), source })
    }

    /// Take back a batch: what has not been delivered of it comes first next time.
    fn give_back(&self, mut batch: Batch) {
        // Closed meanwhile: what was not delivered goes with the rest.
        let _ = self.with_state(|state| {
            if batch.is_empty() {
                batch.clear();
                state.spare = batch;
            } else {
                state.waiting.push_front(batch);
            }
        });
    }

    /// Call `callback(source, address, size)` for every record that is there; return how many there were.
    pub(crate) fn deliver(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        if !callback.is_callable() {
            return Err(Error::Type(format!("callback must be callable, not {}", callback.get_type())).into());
        }
        let Some(mut batch) = py.detach(|| self.take())? else { return Ok(0) };
        let before = batch.next;
        let result = self.call(py, &mut batch, callback);
        let delivered = batch.next - before;
        self.give_back(batch);
        result.map(|()| delivered)
    }

    fn call(&self, py: Python<'_>, batch: &mut Batch, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        // Numbers that come again and again are made once.
        let none = py.None().into_bound(py);
        let callback = Callback::new(callback);
        let mut source = (u32::MAX, none.clone());
        let mut size = (u32::MAX, none);
        while let Some(record) = batch.records.get(batch.next).copied() {
            if self.is_by_cpu && source.0 != record.source {
                source = (record.source, record.source.into_bound_py_any(py)?);
            }
            if size.0 != record.length {
                size = (record.length, record.length.into_bound_py_any(py)?);
            }
            let address = batch.bytes[record.start..].as_ptr().addr().into_bound_py_any(py)?;
            batch.next += 1;
            callback.call(&source.1, &address, &size.1)?;
            if batch.next.is_multiple_of(SIGNAL_RECORDS) {
                py.check_signals()?;
            }
            if self.closed.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }

    /// Wait for records and deliver them; return how many there were.
    pub(crate) fn poll(&self, py: Python<'_>, timeout: Option<f64>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let until = deadline(timeout)?;
        loop {
            let delivered = self.deliver(py, callback)?;
            if delivered > 0 || is_over(until) {
                return Ok(delivered);
            }
            py.detach(|| self.wake().map(|wake| wait(&[wake], until)))?;
            py.check_signals()?;
        }
    }

    /// Wait for records and hand all that are there to `use_batch`.
    pub(crate) fn read<T>(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        mut use_batch: impl FnMut(&Batch) -> T,
    ) -> PyResult<Vec<T>> {
        let until = deadline(timeout)?;
        loop {
            let mut used = Vec::new();
            // Those that a failed callback has left come first, then what came after them.
            while let Some(mut batch) = py.detach(|| self.take())? {
                let only_left = batch.next > 0;
                used.push(use_batch(&batch));
                batch.next = batch.records.len();
                self.give_back(batch);
                if !only_left {
                    break;
                }
            }
            if !used.is_empty() || is_over(until) {
                return Ok(used);
            }
            py.detach(|| self.wake().map(|wake| wait(&[wake], until)))?;
            py.check_signals()?;
        }
    }

    /// Return the descriptor that is readable when records have come; it stays open for who waits for it.
    pub(crate) fn wake(&self) -> Result<Arc<OwnedFd>, Error> {
        self.with_state(|state| Arc::clone(&state.wake))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether it is of this process, and not a copy that a child of `fork` has of its parent's.
    pub(crate) fn is_ours(&self) -> bool {
        self.process.is_this()
    }

    /// Let go of the source, after a last look of `end` at it; doing it again changes nothing.
    pub(crate) fn close(&self, end: impl FnOnce(&dyn Source)) {
        self.closed.store(true, Ordering::Relaxed);
        if !self.is_ours() {
            // A thread that is not here may have the lock; the copy then goes with the object.
            if let Ok(mut state) = self.state.try_lock() {
                drop(state.take());
            }
            return;
        }
        let taken = self.state.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(state) = taken {
            end(&*state.source);
        }
    }
}
