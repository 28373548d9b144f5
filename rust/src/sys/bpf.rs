//! The commands of `bpf(2)` that rtrace uses, one file for each kind of thing that they are about.

mod info;
mod links;
mod maps;
mod programs;

use std::{
    ffi::CString,
    io, mem,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use aya_obj::generated::bpf_cmd;

pub(crate) use self::{info::*, links::*, maps::*, programs::*};
use super::check;

/// Bytes of a name in the kernel, the NUL included (`BPF_OBJ_NAME_LEN`).
const NAME_LEN: usize = 16;

/// Call `bpf(2)`.
///
/// `T` is the part of `union bpf_attr` that the command reads; pointers in it must be valid for what the command
/// does with them.
fn bpf<T>(command: bpf_cmd, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the attribute is a plain struct of that size, its pointers are the callers' buffers.
    check(unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, ptr::from_mut(attr), mem::size_of::<T>()) })
}

fn bpf_fd<T>(command: bpf_cmd, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just handed out this descriptor, close-on-exec, to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn address<T: ?Sized>(of: &T) -> u64 {
    ptr::from_ref(of).cast::<()>() as u64
}

/// The address of memory that the kernel writes to.
fn address_mut<T: ?Sized>(of: &mut T) -> u64 {
    ptr::from_mut(of).cast::<()>() as u64
}

/// Cut `name` to what the kernel keeps, and replace what it would refuse.
fn object_name(name: &str) -> [u8; NAME_LEN] {
    let mut bytes = [0; NAME_LEN];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(NAME_LEN - 1)) {
        *to = if from.is_ascii_alphanumeric() || from == b'.' { from } else { b'_' };
    }
    bytes
}

/// Return `text` as a C string, or an error that names the NUL byte in it.
pub(crate) fn c_string(text: &str) -> io::Result<CString> {
    c_bytes(text.as_bytes())
}

/// Return `bytes` as a C string, or an error that names the NUL byte in it.
fn c_bytes(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "contains a NUL byte"))
}

/// Return `path` as a C string.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    c_bytes(path.as_os_str().as_bytes())
}

/// Copy a descriptor that is somebody else's.
pub(crate) fn copy_descriptor(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes any number; the copy belongs to us alone.
    unsafe {
        let copy = check(libc::c_long::from(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3)))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}
