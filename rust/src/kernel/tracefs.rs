//! tracefs, mounted or not.
//!
//! Containers and minimal machines often have it mounted nowhere. Nothing is mounted into the user's tree then: a
//! detached mount serves, which nobody else sees and which goes with this process.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::sys::mount;

/// A tracefs that this process can read.
pub(crate) struct Tracefs {
    root: PathBuf,
    /// Keeps a detached mount alive.
    detached: Option<OwnedFd>,
}

impl Tracefs {
    /// Return the mounted tracefs, or a detached mount of it. The answer is kept for the life of the process.
    pub(crate) fn open() -> io::Result<&'static Self> {
        static TRACEFS: OnceLock<Tracefs> = OnceLock::new();
        if let Some(tracefs) = TRACEFS.get() {
            return Ok(tracefs);
        }
        let tracefs = Self::find()?;
        Ok(TRACEFS.get_or_init(|| tracefs))
    }

    fn find() -> io::Result<Self> {
        if let Some(root) = mounted(&fs::read_to_string("/proc/self/mounts")?)
            && fs::read_dir(root.join("events")).is_ok()
        {
            return Ok(Self { root, detached: None });
        }
        let mount = mount::detached(c"tracefs")?;
        let root = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        Ok(Self { root, detached: Some(mount) })
    }

    /// Where its files are; with a detached mount, for this process only.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is one of the user's own mounts.
    pub(crate) fn is_mounted(&self) -> bool {
        self.detached.is_none()
    }

    /// Whether it lists an event of that name, attachable or not.
    pub(crate) fn has(&self, category: &str, name: &str) -> bool {
        self.root.join("events").join(category).join(name).is_dir()
    }

    /// Return the number by which perf knows a tracepoint.
    pub(crate) fn tracepoint_id(&self, category: &str, name: &str) -> io::Result<u64> {
        let path = self.root.join("events").join(category).join(name).join("id");
        let text = fs::read_to_string(path)?;
        text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Find the first tracefs in a list of mounts; the kernel writes spaces in paths as `\040`.
fn mounted(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_source, path, file_system) = (words.next()?, words.next()?, words.next()?);
        (file_system == "tracefs").then(|| PathBuf::from(path.replace("\\040", " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::mounted;

    #[test]
    fn the_first_tracefs_of_the_mounts() {
        let mounts = "proc /proc proc rw 0 0\ntracefs /mnt/a\\040b tracefs rw 0 0\ntracefs /other tracefs rw 0 0\n";
        assert_eq!(mounted(mounts).unwrap().to_str(), Some("/mnt/a b"));
        assert!(mounted("proc /proc proc rw 0 0\n").is_none());
    }
}
