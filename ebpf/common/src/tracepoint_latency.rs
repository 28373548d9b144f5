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

/// A part of a key: a number in the entry, widened to 8 bytes so that both ends agree whatever their sizes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KeyPart {
    /// Where it is in the entry.
    pub offset: u32,
    /// Its size in bytes; 0 ends the list.
    pub size: u8,
    /// Whether it is signed.
    pub signed: u8,
    /// Makes the struct's size a multiple of 4.
    pub padding: u16,
}

impl KeyPart {
    /// A part that is not in use.
    pub const NONE: Self = Self { offset: 0, size: 0, signed: 0, padding: 0 };
}

/// How to check a pointer that serves as key: a number behind it must be the same as one in the entry.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PointerCheck {
    /// Where the number is behind the pointer.
    pub behind: u32,
    /// Where it is in the start's entry, and in the end's.
    pub entries: [u32; 2],
    /// Its size in bytes; 0 checks nothing.
    pub size: u32,
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

/// What one CPU did not deliver.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LatencyLosses {
    /// Pairs without a record because the ring buffer was full.
    pub records_lost: u64,
    /// Starts that could not be kept because their map was full.
    pub starts_not_stored: u64,
    /// Starts whose key another start took over before their end came.
    pub starts_overwritten: u64,
    /// Hits whose pointer was not the one that the raw tracepoint had just passed.
    pub keys_mismatched: u64,
}

/// What one CPU saw beside the records it wrote.
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
}
