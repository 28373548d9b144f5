//! One file for each way to attach: (program, target, options) -> [`Link`](crate::link::Link).

pub(crate) mod kprobe;
pub(crate) mod perf_event;
mod pmu;
pub(crate) mod raw_socket;
pub(crate) mod raw_tracepoint;
pub(crate) mod to_fd;
pub(crate) mod tracepoint;
pub(crate) mod trampoline;
pub(crate) mod uprobe;
pub(crate) mod way_out;
pub(crate) mod xdp;

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
            Ok(Attachment::with_event(link, event))
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            perf::set_program(event.as_fd(), program)?;
            Ok(Attachment::new(event))
        }
        Err(error) => Err(error),
    }
}
