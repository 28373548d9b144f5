//! Objects that were compiled before, by the digest of all that they were made from.
//!
//! The files are ordinary objects. Where they cannot be kept, everything works without. Only files of this user in a
//! folder of this user are believed: what is found there is loaded into the kernel.

use std::{
    env,
    fs::{self, DirBuilder},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use log::debug;
use sha2::{Digest, Sha256};

/// Bytes of all objects together; one has ten to a hundred thousand.
const MAX_BYTES: u64 = 64 << 20;
const TARGET: &str = "rtrace::bcc";

/// What an object is made from, piece by piece.
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Add one piece; where pieces end counts.
    pub(crate) fn add(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        self.0.update((piece.len() as u64).to_le_bytes());
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Write bytes as digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A folder of objects.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The user's cache, where the environment says, if there is a place for one.
    pub(crate) fn of_user() -> Option<Self> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Some(Self::at(&root.join("rtrace").join("bcc")))
    }

    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.o"))
    }

    /// Return the object with that key.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        if !is_own(&self.folder) {
            return None;
        }
        let path = self.path(key);
        if !is_own(&path) {
            return None;
        }
        let object = fs::read(&path).ok().filter(|object| object.starts_with(b"\x7fELF"))?;
        // What is used stays longest.
        if let Ok(file) = fs::File::options().write(true).open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(object)
    }

    /// Keep an object. Two processes may do it at once: the file appears as a whole.
    pub(crate) fn put(&self, key: &str, object: &[u8]) {
        if let Err(error) = self.try_put(key, object) {
            debug!(target: TARGET, "keep an object in `{}`: {error}", self.folder.display());
        }
    }

    fn try_put(&self, key: &str, object: &[u8]) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if !is_own(&self.folder) {
            return Err(std::io::Error::other("not this user's own"));
        }
        let mut file = tempfile::Builder::new().prefix("rtrace-").tempfile_in(&self.folder)?;
        file.write_all(object)?;
        file.persist(self.path(key)).map_err(|error| error.error)?;
        self.shrink()
    }

    /// Remove what was not used for longest until the rest is small enough.
    fn shrink(&self) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if let Ok(found) = entry.metadata()
                && found.is_file()
            {
                files.push((found.modified()?, found.len(), entry.path()));
            }
        }
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        files.sort();
        for (_, length, path) in files {
            if bytes <= MAX_BYTES {
                break;
            }
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }
}

/// Whether it is there, is this user's, and nobody else may write to it.
fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        !found.file_type().is_symlink() && found.uid() == crate::sys::user() && found.mode() & 0o022 == 0
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{Cache, Key};

    fn key(pieces: &[&str]) -> String {
        let mut key = Key::new();
        for piece in pieces {
            key.add(piece);
        }
        key.finish()
    }

    #[test]
    fn keys_differ_where_pieces_do() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab"]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    }

    #[test]
    fn objects_come_back_to_their_owner() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("a/b"));
        assert_eq!(cache.get("x"), None);
        cache.put("x", b"\x7fELF1");
        assert_eq!(cache.get("x").unwrap(), b"\x7fELF1");
        fs::set_permissions(cache.path("x"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.get("x"), None);
        cache.put("y", b"not an object");
        assert_eq!(cache.get("y"), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let mut object = vec![0; 30 << 20];
        object[..4].copy_from_slice(b"\x7fELF");
        for name in ["a", "b", "c"] {
            cache.put(name, &object);
        }
        assert_eq!(["a", "b", "c"].map(|name| cache.get(name).is_some()), [false, true, true]);
    }
}
