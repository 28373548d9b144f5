//! A file system of one's own that nobody else sees.

use std::{
    ffi::CStr,
    io,
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
