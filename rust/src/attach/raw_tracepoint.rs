//! Raw tracepoints: the tracepoint itself, without perf's record of it. Needs no tracefs.

use std::os::fd::BorrowedFd;

use crate::{
    error::Error,
    link::{Attachment, Link},
    sys::bpf,
};

/// Attach `program` to the tracepoint `name` (without its category).
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), name: &str) -> Result<Link, Error> {
    const KIND: &str = "raw tracepoint";
    let (program_name, fd) = program;
    let c_name = bpf::c_string(name).map_err(|error| Error::Value(format!("tracepoint name {name:?} {error}")))?;
    let link = bpf::raw_tracepoint_open(fd, Some(&c_name)).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOENT) => Error::TargetNotFound {
            kind: KIND,
            target: name.to_owned(),
            cause: "no such tracepoint in the kernel".into(),
        },
        _ => Error::or_privilege(source, format!("attach {KIND} `{program_name}` to `{name}`"), |source| {
            Error::Attach { program: program_name.to_owned(), kind: KIND, target: name.to_owned(), source }
        }),
    })?;
    Ok(Link::new(KIND, program_name, name, Attachment::new(link)))
}
