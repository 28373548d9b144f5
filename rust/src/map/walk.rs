//! Reading all entries of a map.

use std::{io, os::fd::BorrowedFd};

use super::shape::{Shape, has_no_batches};
use crate::sys::{bpf, memory};

/// The entries of a map: keys and values, one after the other.
pub(crate) struct Entries {
    pub(crate) keys: Vec<u8>,
    /// As the kernel writes them: those of CPUs 8-byte aligned.
    pub(crate) values: Vec<u8>,
}

impl Shape {
    /// Read every entry, and remove what was read if `delete`.
    pub(crate) fn collect(self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        // Batches came to arrays later than to hash maps, and arrays have nothing to delete.
        if self.is_array {
            return self.walk_array(fd);
        }
        match self.walk_in_batches(fd, delete) {
            Err(error) if has_no_batches(&error) => self.walk_by_key(fd, delete),
            result => result,
        }
    }

    /// Remove every entry, each as it is read, and keep none.
    pub(crate) fn clear(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self.clear_in_batches(fd) {
            Err(error) if has_no_batches(&error) => self.walk_by_key(fd, true).map(drop),
            result => result,
        }
    }

    fn clear_in_batches(self, fd: BorrowedFd<'_>) -> io::Result<()> {
        /// Few enough entries to stay in the cache.
        const BATCH: usize = 8192;
        let mut batch = BATCH.min(self.max_entries as usize).max(1);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut cursor = bpf::Cursor::default();
        loop {
            keys.resize(batch * self.key, 0);
            values.resize(batch * self.kernel_value(), 0);
            match bpf::map_lookup_batch(fd, &mut cursor, (&mut keys, self.key), &mut values, true) {
                Ok((_, true)) => return Ok(()),
                Ok((_, false)) => {}
                // A hash bucket holds more entries than fit.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => batch *= 2,
                Err(error) => return Err(error),
            }
        }
    }

    fn walk_array(self, fd: BorrowedFd<'_>) -> io::Result<Entries> {
        let size = self.kernel_value();
        let mut values = vec![0; size * self.max_entries as usize];
        let mut keys = Vec::with_capacity(4 * self.max_entries as usize);
        for (index, value) in (0..self.max_entries).zip(values.chunks_exact_mut(size)) {
            let key = index.to_ne_bytes();
            bpf::map_lookup(fd, &key, value)?;
            keys.extend_from_slice(&key);
        }
        Ok(Entries { keys, values })
    }

    fn walk_in_batches(self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        /// Most memory that is asked for at once. Untouched memory costs nothing, so it may well be too much; growing
        /// would move what is there.
        const AT_ONCE: usize = 256 << 20;
        let (key_size, value_size) = (self.key, self.kernel_value());
        let mut room = (AT_ONCE / (key_size + value_size).max(1)).min(self.max_entries as usize).max(1);
        let mut entries = Entries { keys: memory::zeros(room * key_size), values: memory::zeros(room * value_size) };
        let mut cursor = bpf::Cursor::default();
        let mut filled = 0;
        loop {
            let keys = &mut entries.keys[filled * key_size..];
            let values = &mut entries.values[filled * value_size..];
            match bpf::map_lookup_batch(fd, &mut cursor, (keys, key_size), values, delete) {
                Ok((count, over)) => {
                    filled += count;
                    if over {
                        break;
                    }
                }
                // A hash bucket holds more entries than fit.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {}
                Err(error) => return Err(error),
            }
            room *= 2;
            entries.keys.resize(room * key_size, 0);
            entries.values.resize(room * value_size, 0);
        }
        for (bytes, size) in [(&mut entries.keys, key_size), (&mut entries.values, value_size)] {
            bytes.truncate(filled * size);
            bytes.shrink_to_fit();
        }
        Ok(entries)
    }

    fn walk_by_key(self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        let mut entries = Entries { keys: Vec::new(), values: Vec::new() };
        let mut key = vec![0; self.key];
        let mut value = vec![0; self.kernel_value()];
        let mut more = bpf::map_next_key(fd, None, &mut key)?;
        while more {
            let this = key.clone();
            // The next key is asked for while this one is still there: the walk would start again otherwise.
            more = bpf::map_next_key(fd, Some(&this), &mut key)?;
            match bpf::map_lookup(fd, &this, &mut value) {
                Ok(()) => {
                    entries.keys.extend_from_slice(&this);
                    entries.values.extend_from_slice(&value);
                }
                // A program removed it meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) => return Err(error),
            }
            if delete {
                let _ = bpf::map_delete(fd, &this);
            }
        }
        Ok(entries)
    }
}
