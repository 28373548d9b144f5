//! One file for each way to attach: (program, target, options) -> [`Link`](crate::link::Link).

pub(crate) mod kprobe;
pub(crate) mod raw_tracepoint;
pub(crate) mod tracepoint;
pub(crate) mod trampoline;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::{
    link::Attachment,
    sys::{bpf, perf},
};

/// Attach a program to a perf event: by a link where the kernel has them (5.15), else to the event itself.
fn to_perf_event(program: BorrowedFd<'_>, event: OwnedFd) -> io::Result<Attachment> {
    match bpf::link_create_perf_event(program, event.as_fd()) {
        Ok(link) => {
            perf::enable(event.as_fd())?;
            Ok(Attachment { link, _event: Some(event) })
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            perf::set_program(event.as_fd(), program)?;
            Ok(Attachment { link: event, _event: None })
        }
        Err(error) => Err(error),
    }
}
