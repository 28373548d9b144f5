//! When a record wakes the reader.

use core::ptr;

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit},
};

/// Return the flags to submit a record with: wake the reader when `threshold` bytes wait for it.
///
/// A wake-up for every record costs both sides microseconds; the reader also looks by itself at intervals, so that
/// a record below the threshold is late, never lost.
#[inline(always)]
pub fn submit_flags<R>(ring: &R, threshold: &Global<u64>) -> u64 {
    // SAFETY: the address of a map's definition stands for the map.
    let waiting = unsafe { bpf_ringbuf_query(ptr::from_ref(ring).cast_mut().cast(), u64::from(BPF_RB_AVAIL_DATA)) };
    u64::from(if waiting >= threshold.load() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}

/// Reserve a record of `size` bytes; `None` if the ring buffer is full.
///
/// # Safety
///
/// The verifier must know `size`: a constant, or a global written before loading. The record must be submitted.
#[inline(always)]
pub unsafe fn reserve<R>(ring: &R, size: u64) -> Option<*mut u8> {
    // SAFETY: the address of a map's definition stands for the map.
    let record = unsafe { bpf_ringbuf_reserve(ptr::from_ref(ring).cast_mut().cast(), size, 0) };
    if record.is_null() { None } else { Some(record.cast()) }
}

/// Hand a reserved record to the reader.
///
/// # Safety
///
/// The record comes from [`reserve`], and is not used afterwards.
#[inline(always)]
pub unsafe fn submit(record: *mut u8, flags: u64) {
    // SAFETY: the caller's promise.
    unsafe { bpf_ringbuf_submit(record.cast(), flags) };
}
