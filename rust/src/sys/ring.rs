//! The memory of a BPF ring buffer: mapped, and decoded.
//!
//! Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the producer's, then the data
//! mapped twice in a row, so that a record that wraps is contiguous. A record is a header of 8 bytes (length with
//! two flag bits, page offset) and its bytes, rounded up to 8.
//!
//! The kernel is trusted to write that, but not with our memory: a length that cannot be ends the reading.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: u64 = 8;
/// Bytes after which the programs are told that there is room again: often enough that a full ring does not stay full
/// while it is emptied, rarely enough not to fight for the cache line with them.
const TELL_EVERY: u64 = 64 << 10;

/// A ring buffer's memory, wherever it comes from.
pub(crate) struct View<'a> {
    /// Up to where the reader has read, and the programs have reserved: they only grow.
    pub(crate) consumed: &'a AtomicU64,
    pub(crate) produced: &'a AtomicU64,
    /// The data, twice in a row.
    pub(crate) words: &'a [AtomicU32],
}

/// Where a ring's memory makes no sense.
#[derive(Debug, PartialEq)]
pub(crate) struct Corrupt {
    position: u64,
}

impl From<Corrupt> for io::Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(io::ErrorKind::InvalidData, format!("the ring is corrupt at position {}", corrupt.position))
    }
}

impl View<'_> {
    /// Return how many bytes (headers included) wait in the ring.
    pub(crate) fn waiting(&self) -> u64 {
        load(self.produced).saturating_sub(self.consumed.load(Ordering::Relaxed))
    }

    /// Hand every committed record to `take`, oldest first, until it returns `false`.
    ///
    /// Only what was reserved when it began is looked at, so that it ends however fast programs write. The bytes are
    /// those of the ring itself, valid during the call only.
    #[inline]
    pub(crate) fn consume(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Corrupt> {
        let produced = load(self.produced);
        let mut at = self.consumed.load(Ordering::Relaxed);
        let mut told = at;
        let size = self.words.len() as u64 * 2;
        let corrupt = |position| Err(Corrupt { position });
        if !size.is_power_of_two() || !at.is_multiple_of(8) || produced.checked_sub(at).is_none_or(|left| left > size) {
            return corrupt(at);
        }
        let mut result = Ok(());
        while at < produced {
            let word = usize::try_from(at & (size - 1)).unwrap_or(0) / 4;
            // The length is written last, by an atomic exchange. The memory is mapped read-only, and only relaxed
            // loads are sure to be plain reads.
            let length = self.words[word].load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if length & BUSY != 0 {
                break;
            }
            let bytes = length & !DISCARDED;
            let step = (u64::from(bytes) + HEADER).next_multiple_of(8);
            if step > produced - at {
                result = corrupt(at);
                break;
            }
            if length & DISCARDED == 0 {
                // No longer than what waits, so it ends within the second half.
                let record = &self.words[word + 2..][..(bytes as usize).div_ceil(4)];
                // SAFETY: committed: nobody writes there until it is consumed. The slice has at least so many bytes.
                let record = unsafe { slice::from_raw_parts(record.as_ptr().cast::<u8>(), bytes as usize) };
                if !take(record) {
                    break;
                }
            }
            at += step;
            if at - told >= TELL_EVERY {
                self.consumed.store(at, Ordering::Release);
                told = at;
            }
        }
        self.consumed.store(at, Ordering::Release);
        result
    }
}

/// Read a position that the kernel writes.
fn load(position: &AtomicU64) -> u64 {
    let position = position.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    position
}

/// A mapped ring buffer; there may be one consumer of it at a time.
pub(crate) struct MappedRing {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    size: usize,
}

// SAFETY: shared memory that is read by atomics, and as bytes only by `View::consume`.
unsafe impl Send for MappedRing {}

struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, length: usize, protection: libc::c_int, offset: usize) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        // SAFETY: a new mapping wherever the kernel likes.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and not used any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

impl MappedRing {
    /// Map the ring buffer `map` of `size` bytes.
    pub(crate) fn new(map: BorrowedFd<'_>, size: usize) -> io::Result<Self> {
        let page = super::page_size();
        Ok(Self {
            consumer: Mapping::new(map, page, libc::PROT_READ | libc::PROT_WRITE, 0)?,
            producer: Mapping::new(map, page + 2 * size, libc::PROT_READ, page)?,
            page,
            size,
        })
    }

    fn position(mapping: &Mapping) -> &AtomicU64 {
        // SAFETY: the first word of either page is a position, written by kernel and consumer with atomics.
        unsafe { mapping.start.cast::<AtomicU64>().as_ref() }
    }

    /// Look at its memory.
    pub(crate) fn view(&mut self) -> View<'_> {
        // SAFETY: the data lies behind the producer's page, twice, as long as the mapping.
        let words = unsafe {
            slice::from_raw_parts(self.producer.start.add(self.page).cast::<AtomicU32>().as_ptr(), self.size / 2)
        };
        View { consumed: Self::position(&self.consumer), produced: Self::position(&self.producer), words }
    }
}

#[cfg(test)]
mod tests;
