//! Function latency: entry and return of a kernel function, joined per thread.

use crate::COMM_LEN;

/// Calls that a thread can be in at the same time, one inside the other, before the outermost is given up.
pub const NESTING: usize = 4;

/// A call that has not returned yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Start {
    /// Address of the call's stack frame: what tells calls of one thread apart.
    pub frame: u64,
    /// `CLOCK_MONOTONIC` at entry, in nanoseconds.
    pub ts_ns: u64,
}

/// What a thread remembers between entries and returns: a stack of calls, the innermost last.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Starts {
    /// Calls in the stack.
    pub depth: u64,
    /// The calls, outermost first.
    pub calls: [Start; NESTING],
}

/// Where starts are kept: the values of the global `STORAGE`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A hash map keyed by tid.
    Hash = 0,
    /// Task storage: found from the task itself, freed with it. Linux 5.12 and newer.
    Task = 1,
}

/// What one CPU did not count, and why. Nothing is dropped without a number here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Losses {
    /// Calls not timed because their start could not be kept (map full, or storage busy).
    pub starts_not_stored: u64,
    /// Calls given up because their return was never seen.
    pub returns_missed: u64,
    /// Calls timed but not counted because the map of histograms was full.
    pub groups_full: u64,
    /// Calls counted but without a record because the ring buffer was full.
    pub records_lost: u64,
}

/// What one CPU saw beside the calls it counted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Observed {
    /// Calls counted that were made inside another one of the same thread.
    pub nested: u64,
    /// Calls left out because they were faster than the minimum latency.
    pub below_minimum: u64,
}

/// One call, written to the ring buffer when it returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Call {
    /// `CLOCK_MONOTONIC` at return, in nanoseconds.
    pub ts_ns: u64,
    /// Time between entry and return, in nanoseconds.
    pub latency_ns: u64,
    /// What the function returned.
    pub return_value: i64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU the call returned on.
    pub cpu: u32,
    /// Command name of the thread.
    pub comm: [u8; COMM_LEN],
}
