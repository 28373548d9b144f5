//! One descriptor that is readable when any of many is.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use super::check;

pub(crate) fn new() -> io::Result<OwnedFd> {
    // SAFETY: has no preconditions; the descriptor belongs to us alone.
    unsafe {
        let fd = check(libc::c_long::from(libc::epoll_create1(libc::EPOLL_CLOEXEC)))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Let `epoll` be readable when `fd` is.
pub(crate) fn add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: 0 };
    // SAFETY: two open descriptors, and an event that lives across the call.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) };
    check(libc::c_long::from(result)).map(drop)
}

/// Wait until one of the descriptors is readable, or for `timeout`. Interruptions end the wait early, no more.
///
/// What an epoll descriptor has to tell is taken from it: perf events say once that something has come.
pub(crate) fn wait_any(descriptors: &[BorrowedFd<'_>], timeout: Duration) {
    let entry = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<_> = descriptors.iter().map(entry).collect();
    // Rounded up: a wait that is too short would be taken again and again.
    let milliseconds = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    let count = libc::nfds_t::try_from(entries.len()).unwrap_or(0);
    // SAFETY: as many entries as it says, which live across the call.
    unsafe { libc::poll(entries.as_mut_ptr(), count, milliseconds) };
}
