//! Maps: memory shared with programs, read as whole snapshots.

mod dict;
mod facts;
pub(crate) mod pin;
mod shape;
mod sums;
mod value;
mod walk;
mod way_out;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

pub(crate) use self::{
    facts::{MapFacts, Sharing},
    value::bytes_of,
};
use self::{
    shape::{Shape, check_length, found},
    value::bytes_in,
    walk::Entries,
};
use crate::{array, error::Error, layout::Layout, sys::bpf};

/// A map in the kernel.
///
/// Obtained from :meth:`Object.map`. Lookups and snapshots read the kernel's memory at that moment; programs go on
/// writing. Closed with its object: every method then raises :class:`~rtrace.errors.ClosedError`.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct Map {
    pub(crate) facts: MapFacts,
    pub(crate) fd: Arc<Mutex<Option<OwnedFd>>>,
    shape: Shape,
}

/// Keys, values, and how many there are of each.
type SnapshotBytes<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, usize);

impl Map {
    pub(crate) fn new(facts: MapFacts, fd: Arc<Mutex<Option<OwnedFd>>>) -> io::Result<Self> {
        let shape = Shape::of(&facts)?;
        Ok(Self { facts, fd, shape })
    }

    /// Return how many values a key of such a map has.
    pub(crate) fn cpus_of(facts: &MapFacts) -> io::Result<usize> {
        Ok(Shape::of(facts)?.cpus)
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
                Error::or_privilege(source, message, |source| way_out::explain(&self.facts, what, source))
            })
        })
    }

    /// Turn what the kernel wrote into an array: per-CPU values stand 8-byte aligned, numpy wants them dense.
    fn values_array<'py>(&self, py: Python<'py>, values: Vec<u8>) -> PyResult<Bound<'py, PyAny>> {
        let columns = self.shape.per_cpu.then_some(self.shape.cpus);
        array::from_bytes(py, self.shape.dense(values), &self.facts.value, columns)
    }

    fn key_of(&self, key: &Bound<'_, PyAny>) -> Result<Vec<u8>, Error> {
        bytes_of(key, &self.facts.key, "key", &self.facts.name)
    }

    /// Return a value as the kernel reads it: one for every CPU, or a list of one for each.
    fn value_of(&self, value: &Bound<'_, PyAny>) -> Result<Vec<u8>, Error> {
        let name = &self.facts.name;
        let one = |value: &Bound<'_, PyAny>| bytes_of(value, &self.facts.value, "value", name);
        let bytes = match value.cast::<PyList>() {
            Ok(list) if self.shape.per_cpu => {
                list.iter().map(|value| one(&value)).collect::<Result<Vec<_>, _>>()?.concat()
            }
            _ => one(value)?,
        };
        self.shape.for_kernel(bytes, name)
    }

    fn check_key(&self, key: &[u8]) -> Result<(), Error> {
        check_length(key.len(), self.shape.key, "key", &self.facts.name)
    }

    /// Check many keys; return how many there are.
    fn count_keys(&self, keys: &[u8]) -> Result<usize, Error> {
        let size = self.shape.key;
        if size == 0 || !keys.len().is_multiple_of(size) {
            let name = &self.facts.name;
            return Err(Error::Value(format!("keys of `{name}` have {size} bytes each, got {}", keys.len())));
        }
        Ok(keys.len() / size)
    }

    fn collect(&self, py: Python<'_>, delete: bool) -> Result<Entries, Error> {
        if delete && self.shape.is_array {
            let name = &self.facts.name;
            return Err(Error::Type(format!("map `{name}` is an array: its entries cannot be removed")));
        }
        let what = if delete { "drain" } else { "read" };
        way_out::refuse_without_keys(&self.facts, what)?;
        self.with(py, what, |fd| self.shape.collect(fd, delete))
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

    /// File descriptor; it is the object's, and closed with it.
    #[getter]
    fn fd(&self, py: Python<'_>) -> PyResult<i32> {
        Ok(self.with(py, "ask about", |fd| Ok(fd.as_raw_fd()))?)
    }

    /// The kernel's number of its type (``BPF_MAP_TYPE_HASH`` is 1).
    #[getter]
    fn map_type(&self) -> u32 {
        self.facts.map_type
    }

    /// The flags that it was made with (``BPF_F_NO_PREALLOC`` is 1).
    #[getter]
    fn flags(&self) -> u32 {
        self.facts.flags
    }

    /// Most entries that it holds.
    #[getter]
    fn max_entries(&self) -> u32 {
        self.facts.max_entries
    }

    /// numpy dtype of a key: that of its rows in :meth:`snapshot`.
    ///
    /// Members are at C's offsets under their names, those of anonymous structs and unions too, so that they may
    /// overlap. A number of 128 bits is two of 64, the low half first. A bit field is a column of its own, as numpy has
    /// none, behind the bytes of C: the dtype is then longer than :attr:`key_bytes`, and arrays are copies.
    #[getter]
    fn key_dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.facts.key.dtype(py)
    }

    /// numpy dtype of a value (of one CPU's, in a per-CPU map), as :attr:`key_dtype` is of a key.
    #[getter]
    fn value_dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.facts.value.dtype(py)
    }

    /// Whether every CPU has a value of its own.
    #[getter]
    fn per_cpu(&self) -> bool {
        self.shape.per_cpu
    }

    /// How many values a key has: one for each possible CPU in a per-CPU map, else 1.
    #[getter]
    fn cpus(&self) -> usize {
        self.shape.cpus
    }

    /// Bytes of a key.
    #[getter]
    fn key_bytes(&self) -> usize {
        self.shape.key
    }

    /// Bytes of a value (of one CPU's, in a per-CPU map).
    #[getter]
    fn value_bytes(&self) -> usize {
        self.shape.value
    }

    /// Read all entries as two numpy arrays, keys and values, row by row.
    ///
    /// Keys have shape ``(n,)``, values ``(n,)`` or, of a per-CPU map, ``(n, cpus)``; arrays have their own dimensions
    /// behind these. Dtypes are :attr:`key_dtype` and :attr:`value_dtype`, or that of an array's numbers. Both own
    /// their memory. Entries that programs change during the walk may or may not show the change; an entry that is
    /// there all the time appears exactly once on hash maps read in batches (Linux 5.6 and newer).
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let entries = self.collect(py, false)?;
        self.arrays(py, entries)
    }

    /// Read all entries like :meth:`snapshot` and remove them, each in one step, so that nothing is lost between.
    ///
    /// Raises :class:`TypeError` for array maps, whose entries cannot be removed.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let entries = self.collect(py, true)?;
        self.arrays(py, entries)
    }

    /// Return all entries as a dict of Python's own values; numpy is not needed.
    ///
    /// Numbers, those of 128 bits and bit fields too, are ints, floats or bools. ``char`` arrays are bytes without the
    /// NULs at the end. Structs and unions are tuples of all members in C's order; those of anonymous ones stand in their
    /// place. Other arrays are tuples in keys, and lists in values. Of a per-CPU map each value is a list over the CPUs.
    ///
    /// Keys of which all that is equal, so that only bytes between the members tell them apart, are tuples with all
    /// bytes of the key for one more element.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Entries { keys, values } = self.collect(py, false)?;
        let (values, value) = (self.shape.dense(values), self.facts.value.clone());
        let value = if self.shape.per_cpu { Layout::Array(Box::new(value), self.shape.cpus) } else { value };
        let build = || dict::of(py, (&keys, &self.facts.key), (&values, &value));
        // Nothing here can be garbage, and looking for it among millions of tuples takes as long as making them.
        let collector = py.import("gc")?;
        if !collector.call_method0("isenabled")?.is_truthy()? {
            return build();
        }
        collector.call_method0("disable")?;
        let dict = build();
        collector.call_method0("enable")?;
        dict
    }

    /// Return the value of `key` as a numpy scalar (an array over the CPUs, in a per-CPU map).
    ///
    /// A key is an int or bytes. Raises :class:`~rtrace.errors.MapKeyError` if it is not in the map.
    fn lookup<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = self.key_of(key)?;
        let value = self.with(py, "look up in", |fd| self.shape.lookup(fd, &bytes))?;
        let value = value.ok_or_else(|| Error::MapKey { map: self.facts.name.clone(), key: key.to_string() })?;
        let columns = self.shape.per_cpu.then_some(self.shape.cpus);
        array::from_bytes(py, value, &self.facts.value, columns)?.get_item(0)
    }

    /// Set the value of `key`. A value is an int or bytes; in a per-CPU map it becomes every CPU's, a list of one for
    /// each CPU is taken as such.
    ///
    /// The value of a program array, a cgroup array or a map of maps is a file descriptor.
    fn update(&self, py: Python<'_>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (key, value) = (self.key_of(key)?, self.value_of(value)?);
        Ok(self.with(py, "update", |fd| bpf::map_update(fd, &key, &value, 0))?)
    }

    /// Remove `key`. Raises :class:`~rtrace.errors.MapKeyError` if it is not in the map.
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self.key_of(key)?;
        let there = self.with(py, "delete from", |fd| found(bpf::map_delete(fd, &bytes)))?;
        if there { Ok(()) } else { Err(Error::MapKey { map: self.facts.name.clone(), key: key.to_string() }.into()) }
    }

    /// Set every value of an array map to zero, or remove every entry of another.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        way_out::refuse_without_keys(&self.facts, "clear")?;
        if !self.shape.is_array {
            self.with(py, "clear", |fd| self.shape.clear(fd))?;
            return Ok(());
        }
        let zeros = vec![0; self.shape.kernel_value()];
        let clear = |fd: BorrowedFd<'_>| {
            (0..self.facts.max_entries).try_for_each(|index| bpf::map_update(fd, &index.to_ne_bytes(), &zeros, 0))
        };
        Ok(self.with(py, "clear", clear)?)
    }

    /// Return the bytes of the value of `key`, or ``None`` if it is not in the map.
    ///
    /// Of a per-CPU map, those of every CPU: :attr:`cpus` times :attr:`value_bytes`.
    fn lookup_bytes<'py>(&self, py: Python<'py>, key: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.check_key(key)?;
        let value = self.with(py, "look up in", |fd| self.shape.lookup(fd, key))?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    /// Set the value of `key` to these bytes: :attr:`value_bytes` or, of a per-CPU map, :attr:`cpus` times as many.
    ///
    /// `flags` are the kernel's: 1 (``BPF_NOEXIST``) only if the key is not there, 2 (``BPF_EXIST``) only if it is;
    /// otherwise :class:`~rtrace.errors.MapError` with ``errno`` ``EEXIST`` or ``ENOENT``.
    #[pyo3(signature = (key, value, flags = 0))]
    fn update_bytes(&self, py: Python<'_>, key: &[u8], value: &[u8], flags: u64) -> PyResult<()> {
        self.check_key(key)?;
        let value = self.shape.for_kernel(value.to_vec(), &self.facts.name)?;
        Ok(self.with(py, "update", |fd| bpf::map_update(fd, key, &value, flags))?)
    }

    /// Remove `key`; return whether it was there.
    fn delete_bytes(&self, py: Python<'_>, key: &[u8]) -> PyResult<bool> {
        self.check_key(key)?;
        Ok(self.with(py, "delete from", |fd| found(bpf::map_delete(fd, key)))?)
    }

    /// Return the key after `key` (the first one for ``None``), or ``None`` at the end.
    ///
    /// After a key that is not in the map comes the first one.
    fn next_key<'py>(&self, py: Python<'py>, key: Option<&[u8]>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        key.map(|key| self.check_key(key)).transpose()?;
        let mut next = vec![0; self.shape.key];
        let more = self.with(py, "read", |fd| bpf::map_next_key(fd, key, &mut next))?;
        Ok(more.then(|| PyBytes::new(py, &next)))
    }

    /// Read all entries and add up each one's values over the CPUs, field by field, without numpy.
    ///
    /// Pairs of a key's bytes and a dict: an int for a field that is a number, a list for one that is an array of
    /// them. Raises :class:`TypeError` unless values are structs of unsigned numbers.
    fn sums<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyDict>)>> {
        let Entries { keys, values } = self.collect(py, false)?;
        let values = values.chunks_exact(self.shape.kernel_value().max(1));
        let added = |values| sums::add_up(py, values, self.shape, &self.facts.value, &self.facts.name);
        let keys = keys.chunks_exact(self.shape.key.max(1));
        keys.zip(values).map(|(key, values)| Ok((PyBytes::new(py, key), added(values)?))).collect()
    }

    /// Read all entries as bytes: keys one after the other, values one after the other, and how many there are.
    ///
    /// Each value of a per-CPU map is :attr:`cpus` times :attr:`value_bytes`. With `delete` they are removed as they
    /// are read, see :meth:`drain`.
    #[pyo3(signature = (*, delete = false))]
    fn snapshot_bytes<'py>(&self, py: Python<'py>, delete: bool) -> PyResult<SnapshotBytes<'py>> {
        let entries = self.collect(py, delete)?;
        let count = entries.keys.len().checked_div(self.shape.key).unwrap_or(0);
        let values = self.shape.dense(entries.values);
        Ok((PyBytes::new(py, &entries.keys), PyBytes::new(py, &values), count))
    }

    /// Set many entries; return how many.
    ///
    /// `keys` and `values` are bytes or have a buffer, such as numpy and ctypes arrays: keys one after the other,
    /// values one after the other, of a per-CPU map :attr:`cpus` values for each key. Arrays of :attr:`key_dtype` and
    /// :attr:`value_dtype` may have columns for bit fields; raises :class:`ValueError` where one does not fit, and
    /// :class:`TypeError` for numbers of another kind or size. One system call, where the kernel has batches for this
    /// type of map (Linux 5.6 and newer for hash maps).
    fn update_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>) -> PyResult<usize> {
        let name = &self.facts.name;
        let keys = bytes_in(keys, &self.facts.key, "key", name)?;
        let values = bytes_in(values, &self.facts.value, "value", name)?;
        let count = self.count_keys(&keys)?;
        check_length(values.len(), count * self.shape.dense_value(), "all values", name)?;
        let values = self.shape.spaced(values);
        self.with(py, "update", |fd| self.shape.update_many(fd, &keys, &values))?;
        Ok(count)
    }

    /// Remove many entries; return how many were there. `keys` are as for :meth:`update_many`.
    fn delete_many(&self, py: Python<'_>, keys: &Bound<'_, PyAny>) -> PyResult<usize> {
        let keys = bytes_in(keys, &self.facts.key, "key", &self.facts.name)?;
        self.count_keys(&keys)?;
        Ok(self.with(py, "delete from", |fd| self.shape.delete_many(fd, &keys))?)
    }

    /// Put a value (an int or bytes) into a queue or onto a stack.
    ///
    /// `flags` are the kernel's: 2 (``BPF_EXIST``) removes the oldest when it is full, which otherwise is a
    /// :class:`~rtrace.errors.MapError` with ``errno`` ``E2BIG``.
    #[pyo3(signature = (value, flags = 0))]
    fn push(&self, py: Python<'_>, value: &Bound<'_, PyAny>, flags: u64) -> PyResult<()> {
        let value = self.value_of(value)?;
        Ok(self.with(py, "push to", |fd| bpf::queue_push(fd, &value, flags))?)
    }

    /// Take the oldest value out of a queue, or the newest off a stack; ``None`` if there is none.
    fn pop<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = self.with(py, "pop from", |fd| self.shape.next_value(fd, true))?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    /// Return the value that :meth:`pop` would take, and leave it there.
    fn peek<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = self.with(py, "read", |fd| self.shape.next_value(fd, false))?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    /// Give the map a name in a BPF file system, by which other processes find it and which keeps it in the kernel.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn pin(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(self.with(py, "pin", |fd| Ok(pin::pin(&self.facts.name, fd, &path)))??)
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
