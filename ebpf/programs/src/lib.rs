//! What every shape's programs share: filters on the current task, frames, counters.
//!
//! Everything here is inlined into the handlers; a setting that is off costs nothing, because the verifier
//! knows the globals' values and removes the branches they rule out.
#![no_std]
#![feature(asm_experimental_arch)]

pub mod calls;
pub mod entry;
pub mod filter;
pub mod frame;
pub mod ring;
pub mod task_storage;

use core::arch::asm;

use aya_ebpf::{
    Global,
    bindings::bpf_pidns_info,
    helpers::{bpf_get_current_pid_tgid, bpf_get_ns_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns},
};

/// The identity of the current task in rtrace's words.
#[derive(Clone, Copy)]
pub struct Task {
    /// Process (the kernel's tgid).
    pub pid: u32,
    /// Thread (the kernel's pid).
    pub tid: u32,
}

/// Device and inode of the pid namespace that rtrace runs in; 0 for the kernel's first one.
///
/// In a container the numbers that users know are those of their namespace.
#[unsafe(no_mangle)]
pub static PID_NAMESPACE: Global<[u64; 2]> = Global::new([0; 2]);

impl Task {
    /// Return who runs now; all 0 for a task outside rtrace's pid namespace.
    #[inline(always)]
    pub fn current() -> Self {
        let [device, inode] = PID_NAMESPACE.load();
        if inode == 0 {
            let both = bpf_get_current_pid_tgid();
            return Self { pid: (both >> 32) as u32, tid: both as u32 };
        }
        let mut seen = bpf_pidns_info { pid: 0, tgid: 0 };
        let size = size_of::<bpf_pidns_info>() as u32;
        // SAFETY: the helper writes to the variable or leaves it zeroed.
        unsafe { bpf_get_ns_current_pid_tgid(device, inode, &raw mut seen, size) };
        Self { pid: seen.tgid, tid: seen.pid }
    }
}

/// Return the thread's number in the kernel's own view: a key that no namespace changes.
#[inline(always)]
pub fn thread_key() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// Return `CLOCK_MONOTONIC` in nanoseconds.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Return the number of the CPU this runs on.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: has no preconditions.
    unsafe { bpf_get_smp_processor_id() }
}

/// Return whether `value` passes a filter that is off when it is 0.
#[inline(always)]
pub fn passes(filter: &Global<u32>, value: impl FnOnce() -> u32) -> bool {
    let wanted = filter.load();
    wanted == 0 || wanted == value()
}

/// Return where element `index` of a global array is.
///
/// Loading a whole table would put it on the stack, which has 512 bytes; its parts are read with [`part`] where they
/// are needed.
#[inline(always)]
pub fn element<T, const N: usize>(table: &'static Global<[T; N]>, index: usize) -> *const T {
    // SAFETY: callers count up to N.
    unsafe { core::ptr::from_ref(table).cast::<T>().add(index) }
}

/// Read a part of a global: what the loader wrote there, not what the compiler saw.
#[macro_export]
macro_rules! part {
    ($of:expr, $field:ident) => {
        // SAFETY: a pointer into a global, made by `element`.
        unsafe { core::ptr::read_volatile(&raw const (*$of).$field) }
    };
}

/// Add to a counter of this CPU's own.
///
/// Programs that the kernel may preempt (fentry, fexit) can meet another task's program in the middle of a
/// plain addition on the same CPU; for them the addition is atomic. The others need not pay for that.
#[inline(always)]
pub fn add<const PREEMPTIBLE: bool>(counter: &mut u64, amount: u64) {
    if PREEMPTIBLE {
        // Rust has no atomics for this target; the instruction itself is older than any kernel rtrace runs on.
        // SAFETY: a u64 in a map value is aligned and lives as long as the map.
        unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) core::ptr::from_mut(counter), in(reg) amount) };
    } else {
        *counter += amount;
    }
}

/// A program that panics cannot pass the verifier; this satisfies the compiler.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
