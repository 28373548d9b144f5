//! Maps: making them, and their entries.

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use aya_obj::generated::bpf_cmd;

use super::{NAME_LEN, address, address_mut, bpf, bpf_fd, object_name, raw};

/// What `BPF_MAP_CREATE` needs.
pub(crate) struct MapAttributes<'a> {
    pub(crate) name: &'a str,
    pub(crate) map_type: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    /// The object's BTF with the ids of the key's and the value's type in it.
    pub(crate) btf: Option<(BorrowedFd<'a>, u32, u32)>,
    pub(crate) inner: Option<BorrowedFd<'a>>,
}

pub(crate) fn map_create(map: &MapAttributes<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; NAME_LEN],
        map_ifindex: u32,
        btf_fd: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
    }
    let mut attr = Attr {
        map_type: map.map_type,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_flags: map.flags,
        inner_map_fd: map.inner.map_or(0, raw),
        numa_node: 0,
        map_name: object_name(map.name),
        map_ifindex: 0,
        btf_fd: map.btf.map_or(0, |(fd, ..)| raw(fd)),
        btf_key_type_id: map.btf.map_or(0, |(_, key, _)| key),
        btf_value_type_id: map.btf.map_or(0, |(.., value)| value),
    };
    bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    key: u64,
    value: u64,
    flags: u64,
}

fn element(map: BorrowedFd<'_>, key: Option<&[u8]>, value: u64, flags: u64) -> ElementAttr {
    ElementAttr { map_fd: raw(map), key: key.map_or(0, address), value, flags }
}

/// Read the value of `key` into `value`, which must be as long as the map's values (of every CPU, where it has one
/// for each).
pub(crate) fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut element(map, Some(key), address_mut(value), 0)).map(drop)
}

pub(crate) fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut element(map, Some(key), address(value), flags)).map(drop)
}

pub(crate) fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut element(map, Some(key), 0, 0)).map(drop)
}

/// Write the key after `key` (the first one for `None`) to `next`; `false` at the end.
pub(crate) fn map_next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut element(map, key, address_mut(next), 0)) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Make a map read-only for this and every other process.
pub(crate) fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_FREEZE, &mut raw(map)).map(drop)
}

/// Where a walk in batches stands: opaque to us, at most a key or a bucket number.
#[derive(Default)]
pub(crate) struct Cursor {
    position: Option<Vec<u8>>,
}

/// Read (and with `delete` remove) the next entries into `keys` and `values`.
///
/// Returns how many entries were written, and whether the walk is over. `ENOSPC` says that a bucket holds more
/// entries than fit: the buffers must grow.
pub(crate) fn map_lookup_batch(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    (keys, key_size): (&mut [u8], usize),
    values: &mut [u8],
    delete: bool,
) -> io::Result<(usize, bool)> {
    let mut position = vec![0_u8; key_size.max(4)];
    let mut attr = BatchAttr {
        in_batch: cursor.position.as_deref().map_or(0, address),
        out_batch: address_mut(position.as_mut_slice()),
        keys: address_mut(keys),
        values: address_mut(values),
        ..batch(map, (keys, key_size))
    };
    let command = if delete { bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_BATCH } else { bpf_cmd::BPF_MAP_LOOKUP_BATCH };
    let over = match bpf(command, &mut attr) {
        Ok(_) => false,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
        Err(error) => return Err(error),
    };
    cursor.position = Some(position);
    Ok((attr.count as usize, over))
}

/// Take the oldest value of a queue, or the newest of a stack.
pub(crate) fn queue_pop(map: BorrowedFd<'_>, value: &mut [u8]) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_ELEM, &mut element(map, None, address_mut(value), 0)).map(drop)
}

/// Read the value that [`queue_pop`] would take.
pub(crate) fn queue_peek(map: BorrowedFd<'_>, value: &mut [u8]) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut element(map, None, address_mut(value), 0)).map(drop)
}

pub(crate) fn queue_push(map: BorrowedFd<'_>, value: &[u8], flags: u64) -> io::Result<()> {
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut element(map, None, address(value), flags)).map(drop)
}

#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

fn batch(map: BorrowedFd<'_>, (keys, key_size): (&[u8], usize)) -> BatchAttr {
    // Queues and stacks have no keys: the kernel refuses.
    let count = u32::try_from(keys.len().checked_div(key_size).unwrap_or(0)).unwrap_or(u32::MAX);
    let map_fd = raw(map);
    BatchAttr { in_batch: 0, out_batch: 0, keys: address(keys), values: 0, count, map_fd, elem_flags: 0, flags: 0 }
}

/// Set many entries: as many values as keys, each of every CPU where the map has one for each.
pub(crate) fn map_update_batch(map: BorrowedFd<'_>, keys: (&[u8], usize), values: &[u8]) -> io::Result<()> {
    let mut attr = BatchAttr { values: address(values), ..batch(map, keys) };
    bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr).map(drop)
}

/// Remove many entries; return how many were removed before it succeeded or failed.
pub(crate) fn map_delete_batch(map: BorrowedFd<'_>, keys: (&[u8], usize)) -> (usize, io::Result<()>) {
    let mut attr = batch(map, keys);
    let result = bpf(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr).map(drop);
    (attr.count as usize, result)
}

#[repr(C)]
struct ObjectAttr {
    path: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Give a map, program or link a name in a BPF file system, by which it outlives its descriptors.
pub(crate) fn pin(fd: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = ObjectAttr { path: path.as_ptr() as u64, bpf_fd: raw(fd), file_flags: 0 };
    bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Open what has a name in a BPF file system.
pub(crate) fn open_pinned(path: &CStr) -> io::Result<OwnedFd> {
    bpf_fd(bpf_cmd::BPF_OBJ_GET, &mut ObjectAttr { path: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 })
}
