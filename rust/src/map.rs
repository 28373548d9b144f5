//! Maps: memory shared with programs, read as whole snapshots.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use aya_obj::generated::bpf_map_type as map_type;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use crate::{
    array,
    error::Error,
    layout::Layout,
    sys::{self, bpf, memory},
};

/// What a map is, known before and after it is in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct MapFacts {
    pub(crate) name: String,
    pub(crate) map_type: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    /// Sizes in bytes as the kernel is told them.
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    /// Numbers of the key's and the value's type in the object's BTF.
    pub(crate) types: Option<(u32, u32)>,
    pub(crate) key: Layout,
    pub(crate) value: Layout,
}

impl MapFacts {
    fn is_per_cpu(&self) -> bool {
        [
            map_type::BPF_MAP_TYPE_PERCPU_HASH,
            map_type::BPF_MAP_TYPE_PERCPU_ARRAY,
            map_type::BPF_MAP_TYPE_LRU_PERCPU_HASH,
        ]
        .iter()
        .any(|per_cpu| *per_cpu as u32 == self.map_type)
    }

    fn is_array(&self) -> bool {
        [map_type::BPF_MAP_TYPE_ARRAY, map_type::BPF_MAP_TYPE_PERCPU_ARRAY]
            .iter()
            .any(|array| *array as u32 == self.map_type)
    }
}

/// The entries of a map: keys and values, one after the other.
struct Entries {
    keys: Vec<u8>,
    values: Vec<u8>,
}

/// A map in the kernel.
///
/// Obtained from :meth:`Object.map`. Lookups and snapshots read the kernel's memory at that moment; programs go on
/// writing. Closed with its object: every method then raises :class:`~rtrace.errors.ClosedError`.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct Map {
    pub(crate) facts: MapFacts,
    pub(crate) fd: Arc<Mutex<Option<OwnedFd>>>,
    cpus: usize,
}

impl Map {
    pub(crate) fn new(facts: MapFacts, fd: Arc<Mutex<Option<OwnedFd>>>) -> io::Result<Self> {
        Ok(Self { facts, fd, cpus: sys::possible_cpus()? })
    }

    /// Run `operation` on the descriptor, without the interpreter's lock.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        what: &'static str,
        operation: impl Send + FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Result<T, Error> {
        py.detach(|| {
            let guard = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
            let fd = guard.as_ref().ok_or_else(|| Error::Closed(format!("map `{}`", self.facts.name)))?;
            operation(fd.as_fd()).map_err(|source| {
                let message = format!("{what} map `{}`", self.facts.name);
                Error::or_privilege(source, message, |source| Error::Map {
                    operation: what,
                    map: self.facts.name.clone(),
                    source,
                })
            })
        })
    }

    /// Bytes that the kernel reads or writes for the value of one key.
    fn value_bytes(&self) -> usize {
        let size = self.facts.value.size();
        if self.facts.is_per_cpu() { size.next_multiple_of(8) * self.cpus } else { size }
    }

    /// Turn what the kernel wrote into an array: per-CPU values stand 8-byte aligned, numpy wants them dense.
    fn values_array<'py>(&self, py: Python<'py>, values: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
        let size = self.facts.value.size();
        let stride = size.next_multiple_of(8);
        let dense = if self.facts.is_per_cpu() && stride != size {
            values.chunks_exact(stride).flat_map(|value| &value[..size]).copied().collect()
        } else {
            values
        };
        array::from_bytes(py, dense, &self.facts.value, self.facts.is_per_cpu().then_some(self.cpus))
    }

    fn key_bytes(&self, key: &Bound<'_, PyAny>) -> Result<Vec<u8>, Error> {
        bytes_of(key, &self.facts.key, "key", &self.facts.name)
    }

    /// Read every entry, and remove what was read if `delete`.
    fn collect(&self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        // Batches came to arrays later than to hash maps, and arrays have nothing to delete.
        if self.facts.is_array() {
            return self.walk_array(fd);
        }
        match self.walk_in_batches(fd, delete) {
            // EINVAL, or the kernel's own ENOTSUPP that libc has no name for: no batches for this type of map.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | 524)) => {
                self.walk_by_key(fd, delete)
            }
            result => result,
        }
    }

    fn walk_array(&self, fd: BorrowedFd<'_>) -> io::Result<Entries> {
        let size = self.value_bytes();
        let mut values = vec![0; size * self.facts.max_entries as usize];
        let mut keys = Vec::with_capacity(4 * self.facts.max_entries as usize);
        for (index, value) in (0..self.facts.max_entries).zip(values.chunks_exact_mut(size)) {
            let key = index.to_ne_bytes();
            bpf::map_lookup(fd, &key, value)?;
            keys.extend_from_slice(&key);
        }
        Ok(Entries { keys, values })
    }

    fn walk_in_batches(&self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        /// Most memory that is asked for at once. Untouched memory costs nothing, so it may well be too much; growing
        /// would move what is there.
        const AT_ONCE: usize = 256 << 20;
        let (key_size, value_size) = (self.facts.key.size(), self.value_bytes());
        let mut room = (AT_ONCE / (key_size + value_size)).min(self.facts.max_entries as usize).max(1);
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

    fn walk_by_key(&self, fd: BorrowedFd<'_>, delete: bool) -> io::Result<Entries> {
        let mut entries = Entries { keys: Vec::new(), values: Vec::new() };
        let mut key = vec![0; self.facts.key.size()];
        let mut value = vec![0; self.value_bytes()];
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

    fn arrays<'py>(&self, py: Python<'py>, entries: Entries) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        Ok((array::from_bytes(py, entries.keys, &self.facts.key, None)?, self.values_array(py, entries.values)?))
    }
}

#[pymethods]
impl Map {
    /// Name in the object.
    #[getter]
    fn name(&self) -> &str {
        &self.facts.name
    }

    /// Most entries that it holds.
    #[getter]
    fn max_entries(&self) -> u32 {
        self.facts.max_entries
    }

    /// numpy dtype of a key.
    #[getter]
    fn key_dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.facts.key.dtype(py)
    }

    /// numpy dtype of a value (of one CPU's, in a per-CPU map).
    #[getter]
    fn value_dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.facts.value.dtype(py)
    }

    /// Whether every CPU has a value of its own.
    #[getter]
    fn per_cpu(&self) -> bool {
        self.facts.is_per_cpu()
    }

    /// Read all entries as two numpy arrays, keys and values, row by row.
    ///
    /// Keys have shape ``(n,)``, values ``(n,)`` or, of a per-CPU map, ``(n, cpus)``; dtypes are
    /// :attr:`key_dtype` and :attr:`value_dtype`. Both own their memory. Entries that programs change during the
    /// walk may or may not show the change; an entry that is there all the time appears exactly once on hash maps
    /// read in batches (Linux 5.6 and newer).
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let entries = self.with(py, "read", |fd| self.collect(fd, false))?;
        self.arrays(py, entries)
    }

    /// Read all entries like :meth:`snapshot` and remove them, each in one step, so that nothing is lost between.
    ///
    /// Raises :class:`TypeError` for array maps, whose entries cannot be removed.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        if self.facts.is_array() {
            return Err(
                Error::Type(format!("map `{}` is an array: its entries cannot be removed", self.facts.name)).into()
            );
        }
        let entries = self.with(py, "drain", |fd| self.collect(fd, true))?;
        self.arrays(py, entries)
    }

    /// Return all entries as a dict; keys and values as ``numpy.ndarray.tolist`` gives them.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (keys, values) = self.snapshot(py)?;
        let (keys, values) = (keys.call_method0("tolist")?, values.call_method0("tolist")?);
        let pairs = py.import("builtins")?.getattr("zip")?.call1((keys, values))?;
        Ok(py.get_type::<PyDict>().call1((pairs,))?.cast_into()?)
    }

    /// Return the value of `key` as a numpy scalar (an array over the CPUs, in a per-CPU map).
    ///
    /// A key is an int or bytes. Raises :class:`~rtrace.errors.MapKeyError` if it is not in the map.
    fn lookup<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = self.key_bytes(key)?;
        let value = self.with(py, "look up in", |fd| {
            let mut value = vec![0; self.value_bytes()];
            match bpf::map_lookup(fd, &bytes, &mut value) {
                Ok(()) => Ok(Some(value)),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        let value = value.ok_or_else(|| Error::MapKey { map: self.facts.name.clone(), key: key.to_string() })?;
        self.values_array(py, value)?.get_item(0)
    }

    /// Set the value of `key`. A value is an int or bytes; in a per-CPU map it becomes every CPU's.
    fn update(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = self.key_bytes(key)?;
        let mut value = bytes_of(value, &self.facts.value, "value", &self.facts.name)?;
        if self.facts.is_per_cpu() {
            value.resize(value.len().next_multiple_of(8), 0);
            value = value.repeat(self.cpus);
        }
        Ok(self.with(py, "update", |fd| bpf::map_update(fd, &key, &value, 0))?)
    }

    /// Remove `key`. Raises :class:`~rtrace.errors.MapKeyError` if it is not in the map.
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self.key_bytes(key)?;
        let found = self.with(py, "delete from", |fd| match bpf::map_delete(fd, &bytes) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            result => result.map(|()| true),
        })?;
        if found { Ok(()) } else { Err(Error::MapKey { map: self.facts.name.clone(), key: key.to_string() }.into()) }
    }

    /// Set every value of an array map to zero, or remove every entry of another.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        if !self.facts.is_array() {
            self.with(py, "clear", |fd| self.collect(fd, true))?;
            return Ok(());
        }
        let zeros = vec![0; self.value_bytes()];
        let clear = |fd: BorrowedFd<'_>| {
            (0..self.facts.max_entries).try_for_each(|index| bpf::map_update(fd, &index.to_ne_bytes(), &zeros, 0))
        };
        Ok(self.with(py, "clear", clear)?)
    }

    /// The kernel's number of this map.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.with(py, "ask about", |fd| Ok(bpf::map_info(fd)?.id))?)
    }

    fn __repr__(&self) -> String {
        format!("<Map {} max_entries={}>", self.facts.name, self.facts.max_entries)
    }
}

/// Turn a Python int, bytes, or tuple of ints into the bytes of a key or value.
pub(crate) fn bytes_of(value: &Bound<'_, PyAny>, layout: &Layout, what: &str, name: &str) -> Result<Vec<u8>, Error> {
    let size = layout.size();
    if let Ok(bytes) = value.cast::<PyBytes>() {
        let mut bytes = bytes.as_bytes().to_vec();
        if bytes.len() > size || (bytes.len() < size && !matches!(layout, Layout::Text(_))) {
            return Err(Error::Value(format!("{what} of `{name}` has {size} bytes, got {}", bytes.len())));
        }
        bytes.resize(size, 0);
        return Ok(bytes);
    }
    let too_wide = || Error::Value(format!("{what} of `{name}` has {size} bytes: {value} does not fit"));
    if let (Ok(tuple), Layout::Array(element, count)) = (value.cast::<PyTuple>(), layout) {
        if tuple.len() != *count {
            return Err(Error::Value(format!("`{name}` takes {count} numbers, got {}", tuple.len())));
        }
        return tuple
            .iter()
            .map(|item| bytes_of(&item, element, what, name))
            .collect::<Result<Vec<_>, _>>()
            .map(|parts| parts.concat());
    }
    let Ok(number) = value.extract::<i128>() else {
        let kind = value.get_type();
        return Err(Error::Type(format!("{what} of `{name}` must be int or bytes, not {kind}")));
    };
    let bits = u32::try_from(size * 8).unwrap_or(u32::MAX);
    if size > 8 || number >= 1 << bits || number < -(1 << (bits - 1)) {
        return Err(too_wide());
    }
    Ok(number.to_le_bytes()[..size].to_vec())
}
