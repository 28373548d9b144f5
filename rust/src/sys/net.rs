//! Network interfaces and packet sockets.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use super::check;

/// `SO_ATTACH_BPF`.
const SO_ATTACH_BPF: libc::c_int = 50;

/// Return the number of a network interface.
pub(crate) fn interface_index(name: &CStr) -> io::Result<u32> {
    // SAFETY: a NUL-terminated name.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// Open a non-blocking packet socket on one interface (0 for all), with `program` as its filter.
pub(crate) fn packet_socket(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
    let every_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // No protocol yet: packets that come before the filter is there would pass it by.
    // SAFETY: has no preconditions; the descriptor belongs to us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(check(libc::c_long::from(libc::socket(libc::AF_PACKET, kind, 0)))?) };
    let filter = program.as_raw_fd();
    let length = libc::socklen_t::try_from(mem::size_of_val(&filter)).unwrap_or(0);
    // SAFETY: the option is an int that lives across the call.
    check(libc::c_long::from(unsafe {
        let option = ptr::from_ref(&filter).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_ATTACH_BPF, option, length)
    }))?;
    // SAFETY: a plain struct of numbers, for which all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
    address.sll_protocol = every_protocol;
    address.sll_ifindex = i32::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let length = libc::socklen_t::try_from(mem::size_of_val(&address)).unwrap_or(0);
    // SAFETY: an address of that length which lives across the call.
    check(libc::c_long::from(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) }))?;
    Ok(socket)
}
