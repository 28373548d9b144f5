//! When a record wakes the reader.

use core::ptr;

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::bpf_ringbuf_query,
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
