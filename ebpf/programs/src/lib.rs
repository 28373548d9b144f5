//! What every shape's programs share: filters on the current task, frames, counters.
//!
//! Everything here is inlined into the handlers; a setting that is off costs nothing, because the verifier
//! knows the globals' values and removes the branches they rule out.
#![no_std]
#![feature(asm_experimental_arch)]

pub mod calls;
pub mod device;
pub mod entry;
pub mod filter;
pub mod frame;
pub mod request;
pub mod ring;
pub mod task_storage;
pub mod tasks;

use core::arch::asm;

use aya_ebpf::{
    Global,
    btf_maps::PerCpuArray,
    helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns},
};

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

/// Add to one of the counters that this CPU keeps in a map.
#[inline(always)]
pub fn count<T>(counters: &PerCpuArray<T, 1>, counter: impl FnOnce(&mut T) -> &mut u64, amount: u64) {
    if let Some(values) = counters.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        add::<true>(counter(unsafe { &mut *values }), amount);
    }
}

/// A program that panics cannot pass the verifier; this satisfies the compiler.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
