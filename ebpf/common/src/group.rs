//! What latencies are split by, into one histogram each.

use crate::COMM_LEN;

/// Bytes of a group's key.
pub const GROUP_LEN: usize = COMM_LEN;

/// Which histogram a latency counts into when they are split: a number or a text, zero padded.
pub type Group = [u8; GROUP_LEN];

/// How latencies are split into histograms: the values of the global `GROUP_BY`.
///
/// Of two tracepoints, process, thread and command are those of the start.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// One histogram for all.
    None = 0,
    /// One for each process.
    Pid = 1,
    /// One for each thread.
    Tid = 2,
    /// One for each command name.
    Comm = 3,
    /// One for each CPU the end was on.
    Cpu = 4,
    /// One for each value of a field that is carried from the start.
    StartField = 5,
    /// One for each value of a field of the end.
    EndField = 6,
}
