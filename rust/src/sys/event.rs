//! Waiting for the kernel, and being told to stop.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::Duration,
};

use super::check;

/// Make an event descriptor that nobody has signalled.
pub(crate) fn new() -> io::Result<OwnedFd> {
    // SAFETY: has no preconditions; the descriptor belongs to us alone.
    unsafe {
        let fd = check(libc::c_long::from(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Signal an event descriptor: it stays readable from then on.
pub(crate) fn signal(event: BorrowedFd<'_>) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes that live across the call. It can fail only when it is signalled already.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Make an event descriptor unreadable again.
pub(crate) fn reset(event: BorrowedFd<'_>) {
    let mut count = [0_u8; 8];
    // SAFETY: eight bytes that live across the call. It fails only when nobody has signalled it.
    unsafe { libc::read(event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Wait until one of some descriptors is readable, or for `timeout`. Interruptions end the wait early, no more.
pub(crate) fn wait_readable<const N: usize>(any: [RawFd; N], timeout: Duration) {
    let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut descriptors = any.map(entry);
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: so many entries that live across the call, and no change of signals.
    unsafe { libc::ppoll(descriptors.as_mut_ptr(), N as libc::nfds_t, &raw const timeout, ptr::null()) };
}
