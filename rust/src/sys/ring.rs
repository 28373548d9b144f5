//! The memory of a BPF ring buffer, mapped.
//!
//! Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the producer's, then the data
//! mapped twice in a row, so that a record that wraps is contiguous. A record is a header of 8 bytes (length with
//! two flag bits, page offset) and its bytes, rounded up to 8.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: u64 = 8;

/// A mapped ring buffer; there may be one consumer of it at a time.
pub(crate) struct MappedRing {
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    mask: u64,
}

// SAFETY: shared memory whose positions are atomics; `consume` takes `&mut self`.
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
        // SAFETY: has no preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        Ok(Self {
            consumer: Mapping::new(map, page, libc::PROT_READ | libc::PROT_WRITE, 0)?,
            producer: Mapping::new(map, page + 2 * size, libc::PROT_READ, page)?,
            page,
            mask: size as u64 - 1,
        })
    }

    fn position(mapping: &Mapping) -> &AtomicU64 {
        // SAFETY: the first word of either page is a position, written by kernel and consumer with atomics.
        unsafe { mapping.start.cast::<AtomicU64>().as_ref() }
    }

    /// Return how many bytes (headers included) wait in the ring.
    pub(crate) fn waiting(&self) -> u64 {
        let consumed = Self::position(&self.consumer).load(Ordering::Relaxed);
        Self::position(&self.producer).load(Ordering::Acquire).saturating_sub(consumed)
    }

    /// Hand every committed record to `take`, oldest first, until it returns `false`; return how many were taken.
    ///
    /// The bytes are those of the ring itself, valid during the call only.
    pub(crate) fn consume(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> usize {
        let tail = Self::position(&self.consumer);
        let produced = Self::position(&self.producer).load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        let mut taken = 0;
        while at < produced {
            let offset = self.page + usize::try_from(at & self.mask).unwrap_or(0);
            // SAFETY: a header lies at every position between the two, 8-byte aligned, inside the mapping.
            let header = unsafe { self.producer.start.add(offset) };
            // SAFETY: as above; the length is written last, by an atomic exchange.
            let length = unsafe { header.cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire);
            if length & BUSY != 0 {
                break;
            }
            let bytes = length & !(BUSY | DISCARDED);
            if length & DISCARDED == 0 {
                // SAFETY: the record follows its header; thanks to the double mapping it does not end beyond it.
                let record = unsafe { std::slice::from_raw_parts(header.add(8).as_ptr(), bytes as usize) };
                if !take(record) {
                    break;
                }
                taken += 1;
            }
            at += (u64::from(bytes) + HEADER).next_multiple_of(8);
        }
        tail.store(at, Ordering::Release);
        taken
    }
}
