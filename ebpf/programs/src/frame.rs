//! Stack frames as the identity of a call.
//!
//! A thread may enter a function again before it returned (stacked file systems do this to `vfs_read`), and a
//! return may never be seen (a kretprobe without a free instance, a program left out). A depth counter would be wrong
//! for ever after the first missed return. The address of a call's frame cannot be: entry and return of one call
//! agree on it, a nested call lies deeper in the stack, and what is not deeper than a new call is over.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{bindings::pt_regs, helpers::bpf_probe_read_kernel};

/// Kernel stacks are this large and aligned to it (`THREAD_SIZE` of x86-64 and arm64).
const STACK_SIZE: u64 = 16 * 1024;

/// Return whether a call at `older` must be over when one at `newer` begins.
///
/// Nothing follows from frames of different stacks (a task's and an interrupt's). Nor from an older frame above the
/// newer one: it may be around it, or a leftover, because the kernel puts every system call's stack at a random offset.
#[inline(always)]
pub fn is_over(older: u64, newer: u64) -> bool {
    older <= newer && (older ^ newer) < STACK_SIZE
}

/// Return the frame of a function at its entry, seen by a kprobe.
#[inline(always)]
pub fn at_entry(regs: *const pt_regs) -> u64 {
    // SAFETY: the kernel hands a kprobe program its registers.
    unsafe { (*regs).rsp }
}

/// Return the frame of a function at its return, seen by a kretprobe.
///
/// The `ret` instruction took the return address off the stack: 8 bytes above the frame at entry.
#[inline(always)]
pub fn at_return(regs: *const pt_regs) -> u64 {
    // SAFETY: the kernel hands a kretprobe program its registers.
    unsafe { (*regs).rsp - 8 }
}

/// Return the frame that fentry and fexit of one call share: the trampoline saves the arguments on the stack and
/// hands both programs the address.
#[inline(always)]
pub fn of_trampoline(ctx: *mut c_void) -> u64 {
    let mut frame = ctx as u64;
    // The verifier refuses arithmetic on a context pointer. A conversion to little endian leaves the value as it
    // is on a little-endian machine, and makes it a plain number to the verifier.
    // SAFETY: register to register.
    unsafe { asm!("{0} = le64 {0}", inout(reg) frame) };
    frame
}

/// The frame of a system call: a thread is in one at a time.
pub const SYSCALL: u64 = 0;

/// Return whether the system call of these registers comes from 32-bit code, where its number means another call.
#[inline(always)]
pub fn is_compat(regs: *const pt_regs) -> bool {
    /// Code segment of 32-bit user code (`__USER32_CS`, arch/x86/include/asm/segment.h).
    const USER32_CS: u64 = 0x23;
    // SAFETY: the kernel checks the address it reads from.
    let code_segment = unsafe { bpf_probe_read_kernel(&raw const (*regs).cs) };
    code_segment == Ok(USER32_CS)
}
