//! File systems: one of one's own that nobody else sees, and which one a folder is in.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use super::check;

const FSOPEN_CLOEXEC: libc::c_long = 1;
const FSCONFIG_CMD_CREATE: libc::c_long = 6;
const FSMOUNT_CLOEXEC: libc::c_long = 1;

/// Mount a file system without a place in the tree; it goes when the descriptor is closed.
pub(crate) fn detached(file_system: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated name; descriptors that the kernel hands out belong to us alone.
    unsafe {
        let context =
            OwnedFd::from_raw_fd(check(libc::syscall(libc::SYS_fsopen, file_system.as_ptr(), FSOPEN_CLOEXEC))?);
        let null = ptr::null::<libc::c_char>();
        check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0))?;
        let mount = check(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(mount))
    }
}

/// Whether a folder is in a BPF file system.
pub(crate) fn is_bpf(folder: &CStr) -> io::Result<bool> {
    /// `BPF_FS_MAGIC`.
    const MAGIC: libc::c_long = 0xcafe_4a11;
    // SAFETY: a plain struct of numbers, for which all zeros is a value.
    let mut facts = unsafe { mem::zeroed::<libc::statfs>() };
    // SAFETY: a string and a struct that live across the call.
    check(libc::c_long::from(unsafe { libc::statfs(folder.as_ptr(), &raw mut facts) }))?;
    Ok(facts.f_type == MAGIC)
}
