//! The memory of one CPU's perf buffer, mapped.
//!
//! Layout (`include/uapi/linux/perf_event.h`): a page with positions, then a power of two of pages with records, which
//! wrap around. A record is a header (type, flags, length) and its bytes; those of programs begin with their length.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering, fence},
};

use super::{perf, process::Process};

/// Positions of `data_head` and `data_tail` in `struct perf_event_mmap_page`.
const HEAD: usize = 1024;
const TAIL: usize = 1032;
const HEADER: u64 = 8;
/// `PERF_RECORD_LOST` and `PERF_RECORD_SAMPLE`.
const LOST: u32 = 2;
const SAMPLE: u32 = 9;

/// The mapped perf buffer of one CPU.
pub(crate) struct PerfRing {
    event: OwnedFd,
    start: NonNull<u8>,
    /// Bytes of records, a power of two.
    size: usize,
    page: usize,
    /// Records that the kernel said were lost.
    told: u64,
    counts_losses: bool,
    /// The mapping is in no other.
    process: Process,
}

// SAFETY: shared memory whose positions are atomics; `drain` takes `&mut self`.
unsafe impl Send for PerfRing {}

impl PerfRing {
    /// Make the buffer of a CPU, of so many pages (a power of two).
    pub(crate) fn new(cpu: u32, pages: usize, wakeup_events: u32) -> io::Result<Self> {
        let (event, counts_losses) = perf::open_output(cpu, wakeup_events)?;
        let page = super::page_size();
        let size = pages * page;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping wherever the kernel likes.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), page + size, protection, libc::MAP_SHARED, event.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        Ok(Self { event, start, size, page, told: 0, counts_losses, process: Process::this() })
    }

    fn position(&self, at: usize) -> &AtomicU64 {
        // SAFETY: an aligned word in the first page, written by kernel and reader as a whole.
        unsafe { self.start.add(at).cast::<AtomicU64>().as_ref() }
    }

    /// Return the `length` bytes at a position, in two parts: they wrap around at the end.
    fn bytes(&self, position: u64, length: usize) -> (&[u8], &[u8]) {
        let at = usize::try_from(position & (self.size as u64 - 1)).unwrap_or(0);
        let first = length.min(self.size - at);
        // SAFETY: both parts lie inside the mapping, and the kernel does not write to them: they were written, and are
        // not given back yet. Nobody asks for more than `size` bytes.
        unsafe {
            let records = self.start.add(self.page);
            (
                slice::from_raw_parts(records.add(at).as_ptr(), first),
                slice::from_raw_parts(records.as_ptr(), length - first),
            )
        }
    }

    /// Read the 8 bytes at a position; records begin at multiples of 8, so that these never wrap around.
    fn word(&self, position: u64) -> u64 {
        let at = usize::try_from(position & (self.size as u64 - 1) & !7).unwrap_or(0);
        // SAFETY: aligned and inside the mapping, as those of `bytes`.
        unsafe { self.start.add(self.page + at).cast::<u64>().read() }
    }

    /// Hand every record that is there to `take`, in two parts.
    ///
    /// Only what was written when it began is looked at, so that it ends however fast programs write.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8], &[u8])) {
        let mut at = self.position(TAIL).load(Ordering::Relaxed);
        let head = self.position(HEAD).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        while at < head {
            // struct perf_event_header: type (u32), misc (u16), size (u16).
            let header = self.word(at).to_ne_bytes();
            let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let length = u64::from(u16::from_ne_bytes([header[6], header[7]]));
            // The kernel writes nothing shorter or longer; whoever does must not make this run for ever.
            if length < HEADER || length > head - at || length > self.size as u64 {
                at = head;
                break;
            }
            let body = at + HEADER;
            match kind {
                SAMPLE if length >= HEADER + 4 => {
                    let size = self.word(body).to_ne_bytes();
                    let bytes = u64::from(u32::from_ne_bytes([size[0], size[1], size[2], size[3]]));
                    let bytes = usize::try_from(bytes.min(length - HEADER - 4)).unwrap_or(0);
                    let (first, rest) = self.bytes(body + 4, bytes);
                    take(first, rest);
                }
                LOST if length >= HEADER + 16 => self.told += self.word(body + 8),
                _ => {}
            }
            at += length;
        }
        self.position(TAIL).store(at, Ordering::Release);
    }

    /// Return how many records found no room; where the kernel does not count (before Linux 6.0), those that it has
    /// told of: it does when there is room again.
    pub(crate) fn lost(&self) -> u64 {
        if self.counts_losses { perf::losses(self.event.as_fd()).unwrap_or(self.told) } else { self.told }
    }

    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Whether it is of this process, and not a copy that a child of `fork` has of its parent's.
    pub(crate) fn is_ours(&self) -> bool {
        self.process.is_this()
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        // In a child of `fork` there is no such mapping, and what lies there now is somebody else's.
        if !self.is_ours() {
            return;
        }
        // SAFETY: mapped by `new` with this length, and not used any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.page + self.size) };
    }
}
