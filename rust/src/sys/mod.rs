//! Raw system calls: the only place with `unsafe`.
//!
//! Each command of `bpf(2)` gets the few fields it reads as a struct of its own; the kernel takes a shorter
//! attribute than its own and reads the rest as zeros. Structs with 8-byte fields are filled up to a multiple of 8 by
//! hand: padding of the compiler's would hand random bytes to the kernel.

#![expect(unsafe_code, reason = "system calls; everything above this module is safe")]

pub(crate) mod bpf;
pub(crate) mod epoll;
pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod perf;
pub(crate) mod perf_ring;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod ring;

use std::io;

/// Turn the result of a system call into an [`io::Result`].
fn check(result: libc::c_long) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(|_| io::Error::from_raw_os_error(libc::ERANGE))
}

/// Return the user that this process acts as.
pub(crate) fn user() -> u32 {
    // SAFETY: nothing to go wrong.
    unsafe { libc::geteuid() }
}

/// Keep a child from having more memory than so many bytes; a lower limit stays.
pub(crate) fn limit_memory(child: u32, bytes: u64) {
    let Ok(child) = libc::pid_t::try_from(child) else { return };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structs live across the calls, which look at and change no memory of the child.
    unsafe {
        if libc::prlimit(child, libc::RLIMIT_AS, std::ptr::null(), &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_cur.min(bytes);
            limit.rlim_max = limit.rlim_max.min(bytes);
            libc::prlimit(child, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut());
        }
    }
}

/// Return the number of CPUs that per-CPU maps have a value for.
///
/// # Errors
///
/// When `/sys/devices/system/cpu/possible` cannot be read or parsed.
pub(crate) fn possible_cpus() -> io::Result<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let highest = list.trim().rsplit(['-', ',']).next().unwrap_or_default();
    let highest: usize = highest.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(highest + 1)
}

/// Return the bytes of a page of memory.
pub(crate) fn page_size() -> usize {
    // SAFETY: has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Return the kernel's `HZ`: what the coarse clock advances by is one of its ticks.
pub(crate) fn ticks_per_second() -> i64 {
    let mut tick = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct lives across the call.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut tick) };
    // All kernels have that clock. 300 ticks take 3,333,333 ns each.
    (1_000_000_000 + tick.tv_nsec / 2) / tick.tv_nsec.max(1)
}

/// Lift the limit on locked memory for this process; `false` if it may not, or there was no limit.
///
/// Before Linux 5.11 maps and programs count as locked memory, of which a process may have 64 KiB by default.
pub(crate) fn lift_memlock() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct lives across the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    if !known || limit.rlim_cur == libc::RLIM_INFINITY {
        return false;
    }
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const unlimited) == 0 }
}
