//! `perf_event_open(2)`, as far as programs hang off perf events.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use aya_obj::generated::perf_event_attr;

use super::check;

const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
/// `_IO('$', 0)` and `_IOW('$', 8, __u32)`.
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
/// `PERF_TYPE_TRACEPOINT`.
const TYPE_TRACEPOINT: u32 = 2;

/// Open the perf event of a tracepoint by its id in tracefs.
pub(crate) fn open_tracepoint(id: u64) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.type_ = TYPE_TRACEPOINT;
    attr.config = id;
    open(&mut attr)
}

/// Open a kprobe (or with `return_bit` a kretprobe) that lives as long as the descriptor.
///
/// `pmu` is the type of the kernel's kprobe PMU, `return_bit` the bit of `config` that asks for the return.
pub(crate) fn open_kprobe(pmu: u32, symbol: &CStr, offset: u64, return_bit: Option<u32>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.type_ = pmu;
    attr.config = return_bit.map_or(0, |bit| 1 << bit);
    attr.__bindgen_anon_3.config1 = symbol.as_ptr() as u64;
    attr.__bindgen_anon_4.config2 = offset;
    open(&mut attr)
}

fn zeroed() -> perf_event_attr {
    // SAFETY: a plain struct of numbers, for which all zeros is a value.
    unsafe { mem::zeroed() }
}

/// Every task on CPU 0: tracepoint and kprobe programs run on every CPU all the same.
fn open(attr: &mut perf_event_attr) -> io::Result<OwnedFd> {
    attr.size = u32::try_from(mem::size_of::<perf_event_attr>()).unwrap_or(0);
    // SAFETY: the attribute lives across the call; the kernel copies the symbol it points at.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_perf_event_open, ptr::from_mut(attr), -1, 0, -1, PERF_FLAG_FD_CLOEXEC)
    })?;
    // SAFETY: the kernel has just handed out this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attach a program the old way; it goes when the event's descriptor is closed.
pub(crate) fn set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are open.
    check(libc::c_long::from(unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()) }))?;
    enable(event)
}

pub(crate) fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(libc::c_long::from(unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE, 0) })).map(drop)
}
