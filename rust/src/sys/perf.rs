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

/// Open a uprobe at `offset` of the file at `path`, for one process or for all.
///
/// `pmu` is the type of the kernel's uprobe PMU, `config` what its fields say.
pub(crate) fn open_uprobe(pmu: u32, config: u64, path: &CStr, offset: u64, pid: Option<i32>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.type_ = pmu;
    attr.config = config;
    attr.__bindgen_anon_3.config1 = path.as_ptr() as u64;
    attr.__bindgen_anon_4.config2 = offset;
    // An event of every process must be of one CPU; the probe itself is on all of them.
    let (pid, cpu) = pid.map_or((-1, 0), |pid| (pid, -1));
    open_for(&mut attr, (pid, cpu), -1)
}

/// How often a counter runs its program.
#[derive(Clone, Copy)]
pub(crate) enum Sampling {
    /// Every so many events.
    Period(u64),
    /// So many times a second.
    Frequency(u64),
}

/// Open a hardware, software or raw event (`perf_event_attr.type` and `.config`) of some tasks on some CPUs.
pub(crate) fn open_counter(
    (type_number, config): (u32, u64),
    sampling: Sampling,
    (pid, cpu): (i32, i32),
    group: i32,
) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.type_ = type_number;
    attr.config = config;
    match sampling {
        Sampling::Period(period) => attr.__bindgen_anon_1.sample_period = period,
        Sampling::Frequency(frequency) => {
            attr.set_freq(1);
            attr.__bindgen_anon_1.sample_freq = frequency;
        }
    }
    // Threads and processes that the one starts later count as well.
    attr.set_inherit(u64::from(pid > 0));
    open_for(&mut attr, (pid, cpu), group)
}

/// Open the end of the perf buffer of one CPU that the kernel's programs write to; tell whether it counts losses.
pub(crate) fn open_output(cpu: u32, wakeup_events: u32) -> io::Result<(OwnedFd, bool)> {
    /// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_BPF_OUTPUT`, `PERF_SAMPLE_RAW`.
    const SOFTWARE: u32 = 1;
    const BPF_OUTPUT: u64 = 10;
    const SAMPLE_RAW: u64 = 1 << 10;
    /// `PERF_FORMAT_LOST`: Linux 6.0 and newer.
    const FORMAT_LOST: u64 = 1 << 4;
    let mut attr = zeroed();
    attr.type_ = SOFTWARE;
    attr.config = BPF_OUTPUT;
    attr.sample_type = SAMPLE_RAW;
    attr.read_format = FORMAT_LOST;
    attr.__bindgen_anon_1.sample_period = 1;
    attr.__bindgen_anon_2.wakeup_events = wakeup_events;
    let place = (-1, i32::try_from(cpu).unwrap_or(-1));
    match open_for(&mut attr, place, -1) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            attr.read_format = 0;
            Ok((open_for(&mut attr, place, -1)?, false))
        }
        result => Ok((result?, true)),
    }
}

/// Return how many records of an event opened by [`open_output`] found no room.
pub(crate) fn losses(event: BorrowedFd<'_>) -> io::Result<u64> {
    // The event's count, which is of no use here, and the losses.
    let mut values = [0_u64; 2];
    let bytes = mem::size_of_val(&values);
    // SAFETY: so many bytes that live across the call.
    let read = unsafe { libc::read(event.as_raw_fd(), values.as_mut_ptr().cast(), bytes) };
    if usize::try_from(read) == Ok(bytes) { Ok(values[1]) } else { Err(io::Error::last_os_error()) }
}

fn zeroed() -> perf_event_attr {
    // SAFETY: a plain struct of numbers, for which all zeros is a value.
    unsafe { mem::zeroed() }
}

/// Every task on CPU 0: tracepoint and kprobe programs run on every CPU all the same.
fn open(attr: &mut perf_event_attr) -> io::Result<OwnedFd> {
    open_for(attr, (-1, 0), -1)
}

fn open_for(attr: &mut perf_event_attr, (pid, cpu): (i32, i32), group: i32) -> io::Result<OwnedFd> {
    attr.size = u32::try_from(mem::size_of::<perf_event_attr>()).unwrap_or(0);
    // SAFETY: the attribute lives across the call; the kernel copies the string that it may point at.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_perf_event_open, ptr::from_mut(attr), pid, cpu, group, PERF_FLAG_FD_CLOEXEC)
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
