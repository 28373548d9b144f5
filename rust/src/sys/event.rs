//! Waiting for the kernel, and being told to stop.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
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

/// Wait until one of two descriptors is readable, or for `timeout`. Interruptions end the wait early, no more.
pub(crate) fn wait_readable(first: BorrowedFd<'_>, second: BorrowedFd<'_>, timeout: Duration) {
    let entry = |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut descriptors = [entry(first), entry(second)];
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: two entries that live across the call.
    unsafe { libc::poll(descriptors.as_mut_ptr(), 2, milliseconds) };
}
