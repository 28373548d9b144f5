//! Attaching programs.

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd};

use super::{bpf_fd, raw};

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
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        cookie: u64,
    }
    let attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    let mut attr = Attr { prog_fd: raw(program), target_fd: raw(event), attach_type, flags: 0, cookie: 0 };
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}
