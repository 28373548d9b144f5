//! What the `block` tracepoints tell of a request, taken from the kernel's `struct request` itself.
//!
//! A program on a perf tracepoint is left out while another BPF program runs on its CPU: an interrupt that ends one
//! request in the middle of a program for another is not seen. Raw tracepoints know no such rule, but hand over
//! nothing than the request.

use aya_ebpf::Global;
use rtrace_common::tracepoint_latency::{RequestEntry, RequestLayout, operation};

use crate::{entry::Entry, part};

/// Read what an entry of `block:block_rq_issue` or `block:block_rq_complete` would show.
#[inline(always)]
pub fn entry_of(request: u64, error: i32, layout: &'static Global<RequestLayout>) -> RequestEntry {
    let layout: *const RequestLayout = core::ptr::from_ref(layout).cast();
    let from = Entry::at(request);
    let flags = from.integer(u64::from(part!(layout, flags)), 4, false) as u32;
    let bytes = from.integer(u64::from(part!(layout, data_len)), 4, false) as u32;
    let sector = from.integer(u64::from(part!(layout, sector)), 8, false);
    let operation = flags & 0xff;
    // Without a place on the disk; a flush has -1, which the kernel shows as 0 too.
    let placed = !(operation::FIRST_PASSTHROUGH..=operation::LAST_PASSTHROUGH).contains(&operation);
    RequestEntry {
        common: 0,
        request,
        sector: if placed && sector != u64::MAX { sector } else { 0 },
        dev: device(from, layout),
        nr_sector: if placed { bytes / 512 } else { 0 },
        bytes,
        error,
        rwbs: letters(flags, layout),
    }
}

/// Return the disk's number, 0 for a request without a disk.
#[inline(always)]
fn device(request: Entry, layout: *const RequestLayout) -> u32 {
    const MINOR_BITS: u32 = 20;
    let mut disk = request.integer(u64::from(part!(layout, to_disk)), 8, false);
    let queue_to_disk = part!(layout, queue_to_disk);
    if queue_to_disk != u32::MAX {
        disk = Entry::at(disk).integer(u64::from(queue_to_disk), 8, false);
    }
    let number = |offset: u32| Entry::at(disk).integer(u64::from(offset), 4, false) as u32;
    number(part!(layout, major)) << MINOR_BITS | number(part!(layout, first_minor))
}

/// Say what a request is in the letters that the kernel has for it (`blk_fill_rwbs`).
#[inline(always)]
fn letters(flags: u32, layout: *const RequestLayout) -> [u64; 2] {
    let mut text = 0_u64;
    let mut place = 0_u32;
    let mut put = |letter: u8| {
        text |= u64::from(letter) << place;
        place += 8;
    };
    let [preflush, fua, readahead, sync, meta, atomic, ..] = part!(layout, flag_bits);
    let has = |bit: u8| bit != 0 && flags >> bit & 1 != 0;
    if has(preflush) {
        put(b'F');
    }
    match flags & 0xff {
        operation::READ => put(b'R'),
        operation::WRITE => put(b'W'),
        operation::FLUSH => put(b'F'),
        operation::DISCARD => put(b'D'),
        operation::SECURE_ERASE => {
            put(b'D');
            put(b'E');
        }
        _ => put(b'N'),
    }
    for (bit, letter) in [(fua, b'F'), (readahead, b'A'), (sync, b'S'), (meta, b'M'), (atomic, b'U')] {
        if has(bit) {
            put(letter);
        }
    }
    [text, 0]
}
