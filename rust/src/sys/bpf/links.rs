//! Attaching programs.

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd};

use super::{bpf, bpf_fd, raw};

/// Attach a program to a raw tracepoint, or (without a name) to the function it was loaded for.
pub(crate) fn raw_tracepoint_open(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        name: u64,
        prog_fd: u32,
        padding: u32,
    }
    let name = name.map_or(0, |name| name.as_ptr() as u64);
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut Attr { name, prog_fd: raw(program), padding: 0 })
}

/// Attach a program to a perf event by a link of its own (Linux 5.15 and newer).
pub(crate) fn link_create_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    link_create(program, raw(event), bpf_attach_type::BPF_PERF_EVENT, 0)
}

/// Attach a program by a link: `target` is a descriptor or the number of a network interface.
pub(crate) fn link_create(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        cookie: u64,
    }
    let mut attr = Attr { prog_fd: raw(program), target, attach_type: attach_type as u32, flags, cookie: 0 };
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Attach a program without a link: it stays until [`program_detach`], whatever becomes of this process.
pub(crate) fn program_attach(
    program: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    attach_type: u32,
    flags: u32,
) -> io::Result<()> {
    let mut attr = AttachAttr { target_fd: raw(target), attach_bpf_fd: raw(program), attach_type, attach_flags: flags };
    bpf(bpf_cmd::BPF_PROG_ATTACH, &mut attr).map(drop)
}

pub(crate) fn program_detach(program: BorrowedFd<'_>, target: BorrowedFd<'_>, attach_type: u32) -> io::Result<()> {
    let mut attr = AttachAttr { target_fd: raw(target), attach_bpf_fd: raw(program), attach_type, attach_flags: 0 };
    bpf(bpf_cmd::BPF_PROG_DETACH, &mut attr).map(drop)
}
