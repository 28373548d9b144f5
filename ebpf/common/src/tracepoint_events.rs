//! Tracepoint events: one record for each hit of a tracepoint.

use crate::COMM_LEN;

/// Largest payload of a record, in bytes.
pub const MAX_PAYLOAD: usize = 2048;

/// What every record starts with; the payload follows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub ts_ns: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Command name of the thread.
    pub comm: [u8; COMM_LEN],
    /// CPU.
    pub cpu: u32,
    /// Makes the payload start at a multiple of 8.
    pub padding: u32,
}

/// What one CPU did not deliver.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EventLosses {
    /// Hits without a record because the ring buffer was full.
    pub records_lost: u64,
}

/// What one CPU saw beside the records it wrote.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EventsObserved {
    /// Hits in all, before any filter.
    pub hits: u64,
    /// Hits that the filters left out.
    pub filtered: u64,
}
