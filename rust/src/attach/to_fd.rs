//! Programs that are attached to a descriptor of something else: a cgroup, a map of sockets.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use crate::{
    error::Error,
    link::{Attachment, Link},
    sys::{bpf, process::Process},
};

/// A program that hangs off something until this is dropped.
pub(crate) struct Attached {
    program: OwnedFd,
    target: OwnedFd,
    attach_type: u32,
    process: Process,
}

impl Drop for Attached {
    fn drop(&mut self) {
        use std::os::fd::AsFd;
        // Other attachments go with the last descriptor; of this one a child of `fork` has a copy that it must not end.
        if !self.process.is_this() {
            return;
        }
        // Gone already if the target is, or if somebody else has detached it.
        let _ = bpf::program_detach(self.program.as_fd(), self.target.as_fd(), self.attach_type);
    }
}

/// Attach `program` to what `target` is a descriptor of; the number stays the caller's.
pub(crate) fn attach(
    (kind, name, fd): (&'static str, &str, BorrowedFd<'_>),
    target: i32,
    attach_type: u32,
    flags: u32,
) -> Result<Link, Error> {
    let shown = format!("file descriptor {target}");
    let failed = |source: io::Error| {
        Error::or_privilege(source, format!("attach {kind} `{name}` to {shown}"), |source| Error::Attach {
            program: name.to_owned(),
            kind,
            target: shown.clone(),
            source,
        })
    };
    // A copy of each, so that closing theirs does not keep this from being detached.
    let target = bpf::copy_descriptor(target).map_err(failed)?;
    let program = fd.try_clone_to_owned().map_err(failed)?;
    {
        use std::os::fd::AsFd;
        bpf::program_attach(program.as_fd(), target.as_fd(), attach_type, flags).map_err(failed)?;
    }
    let process = Process::this();
    Ok(Link::new(kind, name, &shown, Attachment::of_program(Attached { program, target, attach_type, process })))
}
