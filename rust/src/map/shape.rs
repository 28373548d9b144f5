//! The bytes of a map's keys and values: how many there are, and how those of several CPUs lie.

use std::{io, os::fd::BorrowedFd};

use super::MapFacts;
use crate::{
    error::Error,
    sys::{self, bpf},
};

/// Sizes that every operation on a map needs.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a key.
    pub(crate) key: usize,
    /// Bytes of a value, of one CPU's in a per-CPU map.
    pub(crate) value: usize,
    /// Values of one key: one, or one for each CPU.
    pub(crate) cpus: usize,
    pub(crate) per_cpu: bool,
    pub(crate) is_array: bool,
    pub(crate) max_entries: u32,
}

impl Shape {
    pub(crate) fn of(facts: &MapFacts) -> io::Result<Self> {
        let per_cpu = facts.is_per_cpu();
        Ok(Self {
            key: facts.key.size(),
            value: facts.value.size(),
            cpus: if per_cpu { sys::possible_cpus()? } else { 1 },
            per_cpu,
            is_array: facts.is_array(),
            max_entries: facts.max_entries,
        })
    }

    /// Bytes of one CPU's value as the kernel aligns it.
    pub(crate) fn stride(self) -> usize {
        if self.per_cpu { self.value.next_multiple_of(8) } else { self.value }
    }

    /// Bytes that the kernel reads or writes for the values of one key.
    pub(crate) fn kernel_value(self) -> usize {
        self.stride() * self.cpus
    }

    /// Bytes of all values of one key, one after the other.
    pub(crate) fn dense_value(self) -> usize {
        self.value * self.cpus
    }

    /// Take the gaps out of what the kernel wrote.
    pub(crate) fn dense(self, values: Vec<u8>) -> Vec<u8> {
        if self.stride() == self.value {
            return values;
        }
        values.chunks_exact(self.stride()).flat_map(|value| &value[..self.value]).copied().collect()
    }

    /// Put gaps in where the kernel reads over them.
    pub(crate) fn spaced(self, mut values: Vec<u8>) -> Vec<u8> {
        if self.stride() == self.value {
            return values;
        }
        let gap = vec![0; self.stride() - self.value];
        values = values.chunks_exact(self.value).flat_map(|value| [value, gap.as_slice()].concat()).collect();
        values
    }

    /// Return the values of one key as the kernel reads them: one for all CPUs, or one for each.
    pub(crate) fn for_kernel(self, value: Vec<u8>, map: &str) -> Result<Vec<u8>, Error> {
        if value.len() == self.value && self.per_cpu {
            return Ok(self.spaced(value.repeat(self.cpus)));
        }
        check_length(value.len(), self.dense_value(), "value", map)?;
        Ok(self.spaced(value))
    }

    /// Read the values of `key`; `None` where there are none.
    pub(crate) fn lookup(self, fd: BorrowedFd<'_>, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.kernel_value()];
        Ok(found(bpf::map_lookup(fd, key, &mut value))?.then(|| self.dense(value)))
    }

    /// Take the next value out of a queue or stack, or leave it there.
    pub(crate) fn next_value(self, fd: BorrowedFd<'_>, take: bool) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; self.value];
        let result = if take { bpf::queue_pop(fd, &mut value) } else { bpf::queue_peek(fd, &mut value) };
        Ok(found(result)?.then_some(value))
    }

    /// Set many entries: in one step where the kernel has that, else one by one.
    pub(crate) fn update_many(self, fd: BorrowedFd<'_>, keys: &[u8], values: &[u8]) -> io::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        match bpf::map_update_batch(fd, (keys, self.key), values) {
            Err(error) if has_no_batches(&error) => {
                let mut pairs = keys.chunks_exact(self.key).zip(values.chunks_exact(self.kernel_value()));
                pairs.try_for_each(|(key, value)| bpf::map_update(fd, key, value, 0))
            }
            result => result,
        }
    }

    /// Remove many entries; return how many were there.
    pub(crate) fn delete_many(self, fd: BorrowedFd<'_>, mut keys: &[u8]) -> io::Result<usize> {
        let mut removed = 0;
        while !keys.is_empty() {
            match bpf::map_delete_batch(fd, (keys, self.key)) {
                // It stops at the first key that is not there.
                (count, Err(error)) if error.raw_os_error() == Some(libc::ENOENT) => {
                    removed += count;
                    keys = &keys[(count + 1) * self.key..];
                }
                (_, Err(error)) if has_no_batches(&error) => {
                    for key in keys.chunks_exact(self.key) {
                        removed += usize::from(found(bpf::map_delete(fd, key))?);
                    }
                    return Ok(removed);
                }
                (count, result) => {
                    result?;
                    return Ok(removed + count);
                }
            }
        }
        Ok(removed)
    }
}

/// Whether an error says that the kernel has no batches for this type of map: EINVAL, or the kernel's own ENOTSUPP that
/// libc has no name for.
pub(crate) fn has_no_batches(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | 524))
}

/// Tell a missing key from failures.
pub(crate) fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Check the length of a key or value.
pub(crate) fn check_length(length: usize, wanted: usize, what: &str, map: &str) -> Result<(), Error> {
    if length == wanted {
        return Ok(());
    }
    Err(Error::Value(format!("{what} of `{map}` has {wanted} bytes, got {length}")))
}
