//! Names of maps in a BPF file system.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

use crate::{
    error::Error,
    sys::{bpf, mount},
};

/// Give a map a name.
pub(crate) fn pin(map: &str, fd: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    let pinned = bpf::c_path(path).and_then(|c_path| bpf::pin(fd, &c_path));
    pinned.map_err(|source| refused("pin", map, path, source))
}

/// Open what has that name; `None` if nothing has.
pub(crate) fn open(map: &str, path: &Path) -> Result<Option<OwnedFd>, Error> {
    match bpf::c_path(path).and_then(|c_path| bpf::open_pinned(&c_path)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        result => result.map(Some).map_err(|source| refused("open", map, path, source)),
    }
}

/// Say why a name could not be given or used: outside of a BPF file system the kernel says that it is not permitted.
fn refused(operation: &'static str, map: &str, path: &Path, source: io::Error) -> Error {
    let (shown, errno) = (path.display(), source.raw_os_error());
    let failed = |cause, hint| Error::MapRefused { operation, map: map.to_owned(), cause, errno, hint };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let no_permission = matches!(errno, Some(libc::EPERM | libc::EACCES));
    if no_permission && bpf::c_path(folder).and_then(|folder| mount::is_bpf(&folder)).is_ok_and(|is_bpf| !is_bpf) {
        let hint = "use a path below /sys/fs/bpf; where that is empty: mount -t bpf bpf /sys/fs/bpf";
        return failed(format!("{shown} is not in a BPF file system"), Some(hint.into()));
    }
    let operation = format!("{operation} map `{map}` at {shown}");
    Error::or_privilege(source, operation, |source| failed(format!("{shown}: {source}"), None))
}
