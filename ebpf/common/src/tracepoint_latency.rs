//! Tracepoint latency: two tracepoints joined by a key made of their fields.

use crate::COMM_LEN;

/// Largest key, in bytes; shorter ones are padded with zeros.
pub const MAX_KEY: usize = 32;
/// Most bytes of the start's entry that are carried to the end.
pub const MAX_CARRIED: usize = 128;
/// Fields that make a key.
pub const KEY_PARTS: usize = 4;

/// A key: the values of its fields, one after the other.
pub type Key = [u64; MAX_KEY / 8];

/// A part of a key: a number, widened to 8 bytes so that both ends agree whatever their sizes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KeyPart {
    /// Where it is in the entry.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u8,
    /// Whether it is signed.
    pub signed: u8,
    /// What it is, see [`source`](crate::entry::source): of the entry, the thread, or the CPU; `NONE` ends the list.
    pub source: u8,
    /// Makes the struct's size a multiple of 4.
    pub padding: u8,
}

impl KeyPart {
    /// A part that is not in use.
    pub const NONE: Self = Self { offset: 0, size: 0, signed: 0, source: crate::entry::source::NONE, padding: 0 };
}

/// What the `block` tracepoints tell of a request, read from the kernel's `struct request` itself.
///
/// It stands where a tracepoint's entry would, so that fields, filters and keys work as everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RequestEntry {
    /// What an entry starts with; programs leave it alone.
    pub common: u64,
    /// The kernel's pointer to the request: unique as long as it is under way.
    pub request: u64,
    /// Where on the disk, in units of 512 bytes; 0 where the request has no place.
    pub sector: u64,
    /// The disk (the kernel's `dev_t`).
    pub dev: u32,
    /// How long it is, in units of 512 bytes; 0 where it has no place.
    pub nr_sector: u32,
    /// How long it is, in bytes.
    pub bytes: u32,
    /// How it ended: 0, or a negative errno (at the end only).
    pub error: i32,
    /// Letters of what it is (R, W, D, F, ...) and how (S, M, ...), as the kernel shows them.
    pub rwbs: [u64; 2],
}

/// Where the kernel keeps what a [`RequestEntry`] shows: offsets from BTF.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RequestLayout {
    /// `request.__sector`.
    pub sector: u32,
    /// `request.__data_len`.
    pub data_len: u32,
    /// `request.cmd_flags`.
    pub flags: u32,
    /// `request.q`, or `request.rq_disk` before Linux 5.17.
    pub to_disk: u32,
    /// `request_queue.disk`; `u32::MAX` where `to_disk` led there already.
    pub queue_to_disk: u32,
    /// `gendisk.major`.
    pub major: u32,
    /// `gendisk.first_minor`.
    pub first_minor: u32,
    /// Bits of `cmd_flags` that have letters: preflush, FUA, read-ahead, sync, metadata, atomic; 0 for those unknown.
    pub flag_bits: [u8; 8],
}

/// What an operation of a request is (`enum req_op`); these numbers have been the same since Linux 4.10.
pub mod operation {
    /// `REQ_OP_READ`.
    pub const READ: u32 = 0;
    /// `REQ_OP_WRITE`.
    pub const WRITE: u32 = 1;
    /// `REQ_OP_FLUSH`.
    pub const FLUSH: u32 = 2;
    /// `REQ_OP_DISCARD`.
    pub const DISCARD: u32 = 3;
    /// `REQ_OP_SECURE_ERASE`.
    pub const SECURE_ERASE: u32 = 5;
    /// The first of those that carry commands of their own and have no place on the disk (`REQ_OP_SCSI_IN`).
    pub const FIRST_PASSTHROUGH: u32 = 32;
    /// The last of them (`REQ_OP_DRV_OUT`).
    pub const LAST_PASSTHROUGH: u32 = 35;
}

/// What a start leaves for its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Begun {
    /// `CLOCK_MONOTONIC` at the start, in nanoseconds.
    pub ts_ns: u64,
    /// Process that started it.
    pub pid: u32,
    /// Thread that started it.
    pub tid: u32,
    /// Command name of that thread.
    pub comm: [u8; COMM_LEN],
    /// The carried fields of the start's entry.
    pub carried: [u8; MAX_CARRIED],
}

/// What every record starts with; the carried fields of the start and the fields of the end follow.
///
/// Process, thread and command are those of the start: the end runs in whatever context an interrupt finds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LatencyHeader {
    /// `CLOCK_MONOTONIC` at the end, in nanoseconds.
    pub ts_ns: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Command name of the thread.
    pub comm: [u8; COMM_LEN],
    /// CPU of the end.
    pub cpu: u32,
    /// Makes what follows start at a multiple of 8.
    pub padding: u32,
    /// Time between start and end, in nanoseconds.
    pub latency_ns: u64,
}

/// What one CPU did not deliver, and why.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LatencyLosses {
    /// Pairs without a record because the ring buffer was full.
    pub records_lost: u64,
    /// Starts that could not be kept because their map was full.
    pub starts_not_stored: u64,
    /// Starts whose key another start took over before their end came.
    pub starts_overwritten: u64,
    /// Pairs not counted because the map of histograms was full.
    pub groups_full: u64,
}

/// What one CPU saw beside the pairs it recorded or counted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LatencyObserved {
    /// Starts in all, before any filter.
    pub starts: u64,
    /// Starts that the filters left out.
    pub filtered: u64,
    /// Ends in all.
    pub ends: u64,
    /// Ends without a start: left out by a filter, begun before tracing, or overwritten.
    pub ends_unmatched: u64,
    /// Pairs faster than the minimum latency, left out.
    pub below_minimum: u64,
    /// Ends of a part of a request; its last part makes the pair.
    pub partial_ends: u64,
}
