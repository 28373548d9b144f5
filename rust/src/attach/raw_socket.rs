//! Raw sockets: a program that decides which packets of an interface come out of a socket.

use std::os::fd::{BorrowedFd, OwnedFd};

use super::xdp::interface_index;
use crate::{error::Error, sys::net};

/// Open a packet socket on `interface` (on every one, if empty) that lets through what `program` says.
pub(crate) fn open(program: (&str, BorrowedFd<'_>), interface: &str) -> Result<OwnedFd, Error> {
    const KIND: &str = "socket";
    let (name, fd) = program;
    let index = if interface.is_empty() { 0 } else { interface_index(KIND, interface)? };
    net::packet_socket(fd, index).map_err(|source| {
        Error::or_privilege(source, format!("attach {KIND} `{name}` to `{interface}`"), |source| Error::Attach {
            program: name.to_owned(),
            kind: KIND,
            target: interface.to_owned(),
            source,
        })
    })
}
