//! The contents of a file that does not change.

use std::{
    fs::File,
    io::{self, Read},
    ops::Deref,
    os::fd::AsRawFd,
    path::Path,
    ptr::{self, NonNull},
};

/// A file's bytes: mapped where the kernel lets it, read otherwise.
///
/// sysfs hands out 4 KiB for each read, so that the kernel's BTF takes more than a thousand; since Linux 6.16 it can
/// be mapped.
pub(crate) enum Contents {
    /// Pages of the file itself.
    Mapped(NonNull<u8>, usize),
    /// A copy.
    Read(Vec<u8>),
}

// SAFETY: nobody writes to the bytes of either.
unsafe impl Send for Contents {}
// SAFETY: as above.
unsafe impl Sync for Contents {}

impl Contents {
    /// Open the file at `path`, of which it is known that nobody writes to it.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        if length > 0 {
            // SAFETY: a new, private mapping wherever the kernel likes.
            let start = unsafe {
                let (protection, kind) = (libc::PROT_READ, libc::MAP_PRIVATE);
                libc::mmap(ptr::null_mut(), length, protection, kind, file.as_raw_fd(), 0)
            };
            if start != libc::MAP_FAILED
                && let Some(start) = NonNull::new(start.cast())
            {
                return Ok(Self::Mapped(start, length));
            }
        }
        let mut data = Vec::with_capacity(length);
        file.read_to_end(&mut data)?;
        Ok(Self::Read(data))
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: mapped with this length until dropped.
            Self::Mapped(start, length) => unsafe { std::slice::from_raw_parts(start.as_ptr(), *length) },
            Self::Read(data) => data,
        }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        if let Self::Mapped(start, length) = self {
            // SAFETY: mapped with this length, and not used any more.
            unsafe { libc::munmap(start.as_ptr().cast(), *length) };
        }
    }
}
