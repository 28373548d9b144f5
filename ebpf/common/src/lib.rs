//! The memory that crosses the kernel line: every `#[repr(C)]` record, key and value of a shape, written once
//! for the eBPF programs that fill it and for the loader that turns it into numpy columns.
//!
//! Words used on both sides: `pid` is the process (the kernel's tgid), `tid` the thread (the kernel's pid).
#![no_std]

pub mod entry;
pub mod function_latency;
pub mod group;
pub mod log2;
pub mod tracepoint_events;
pub mod tracepoint_latency;

/// Bytes of a task's name, its trailing NUL included (`TASK_COMM_LEN` of the kernel).
pub const COMM_LEN: usize = 16;
