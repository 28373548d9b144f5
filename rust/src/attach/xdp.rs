//! XDP: a program that sees every packet that a network interface receives.

use std::{io, os::fd::BorrowedFd};

use aya_obj::generated::bpf_attach_type::BPF_XDP;

use crate::{
    error::Error,
    link::{Attachment, Link},
    sys::{bpf, net},
};

/// Attach `program` to a network interface.
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), interface: &str, flags: u32) -> Result<Link, Error> {
    const KIND: &str = "xdp";
    let (name, fd) = program;
    let index = interface_index(KIND, interface)?;
    let link =
        bpf::link_create(fd, index, BPF_XDP, flags).map_err(|source| match source.raw_os_error() {
            Some(libc::EOPNOTSUPP) => Error::NotSupported {
                operation: format!("attach {KIND} `{name}` to `{interface}`"),
                feature: "XDP of this kind on this interface",
                minimum_kernel: Some("5.9"),
                hint: "flags=2 (XDP_FLAGS_SKB_MODE) works with every driver".into(),
            },
            _ => Error::or_privilege(source, format!("attach {KIND} `{name}` to `{interface}`"), |source| {
                Error::Attach { program: name.to_owned(), kind: KIND, target: interface.to_owned(), source }
            }),
        })?;
    Ok(Link::new(KIND, name, interface, Attachment::new(link)))
}

/// Return the number of a network interface.
pub(crate) fn interface_index(kind: &'static str, interface: &str) -> Result<u32, Error> {
    let name = bpf::c_string(interface).map_err(|error| Error::Value(format!("interface {interface:?} {error}")))?;
    net::interface_index(&name).map_err(|source: io::Error| Error::TargetNotFound {
        kind,
        target: interface.to_owned(),
        cause: match source.raw_os_error() {
            Some(libc::ENODEV) => "no such network interface".into(),
            _ => source.to_string(),
        },
    })
}
