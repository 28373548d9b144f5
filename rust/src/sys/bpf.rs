//! The commands of `bpf(2)` that rtrace uses.

use std::{
    ffi::{CStr, CString},
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_insn, bpf_map_info, bpf_prog_info, bpf_prog_type};

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
    #[repr(C)]
    struct Attr {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
    let mut position = vec![0_u8; key_size.max(4)];
    let count = u32::try_from(keys.len() / key_size).unwrap_or(u32::MAX);
    let mut attr = Attr {
        in_batch: cursor.position.as_deref().map_or(0, address),
        out_batch: address_mut(position.as_mut_slice()),
        keys: address_mut(keys),
        values: address_mut(values),
        count,
        map_fd: raw(map),
        elem_flags: 0,
        flags: 0,
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

pub(crate) fn btf_load(btf: &[u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        btf: u64,
        log_buf: u64,
        size: u32,
        log_size: u32,
        log_level: u32,
        log_true_size: u32,
    }
    let size = u32::try_from(btf.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    bpf_fd(
        bpf_cmd::BPF_BTF_LOAD,
        &mut Attr { btf: address(btf), log_buf: 0, size, log_size: 0, log_level: 0, log_true_size: 0 },
    )
}

/// Records of the verifier's view of the source: their bytes, and the length of one.
pub(crate) struct SourceInfo {
    pub(crate) records: Vec<u8>,
    pub(crate) record_size: usize,
}

impl SourceInfo {
    fn count(&self) -> u32 {
        u32::try_from(self.records.len().checked_div(self.record_size).unwrap_or(0)).unwrap_or(0)
    }
}

/// What `BPF_PROG_LOAD` needs.
pub(crate) struct ProgramAttributes<'a> {
    pub(crate) name: &'a str,
    pub(crate) program_type: bpf_prog_type,
    pub(crate) attach_type: Option<bpf_attach_type>,
    pub(crate) instructions: &'a [bpf_insn],
    pub(crate) license: &'a CStr,
    pub(crate) kernel_version: u32,
    pub(crate) flags: u32,
    /// BTF type id of the target, and the BTF of the module that it is in.
    pub(crate) attach_to: Option<(u32, Option<BorrowedFd<'a>>)>,
    /// The object's BTF with function and line records.
    pub(crate) source: Option<(BorrowedFd<'a>, &'a SourceInfo, &'a SourceInfo)>,
}

/// Load a program; with `log` the verifier's words are left there.
pub(crate) fn program_load(program: &ProgramAttributes<'_>, mut log: Option<&mut Vec<u8>>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; NAME_LEN],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_btf_obj_fd: u32,
        core_relo_cnt: u32,
    }
    let record_size = |info: &SourceInfo| u32::try_from(info.record_size).unwrap_or(0);
    let mut attr = Attr {
        prog_type: program.program_type as u32,
        insn_cnt: u32::try_from(program.instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        insns: address(program.instructions),
        license: program.license.as_ptr() as u64,
        log_level: u32::from(log.is_some()),
        log_size: log.as_ref().map_or(0, |log| u32::try_from(log.len()).unwrap_or(u32::MAX)),
        log_buf: log.as_mut().map_or(0, |log| address_mut(log.as_mut_slice())),
        kern_version: program.kernel_version,
        prog_flags: program.flags,
        prog_name: object_name(program.name),
        prog_ifindex: 0,
        expected_attach_type: program.attach_type.map_or(0, |attach_type| attach_type as u32),
        prog_btf_fd: program.source.map_or(0, |(btf, ..)| raw(btf)),
        func_info_rec_size: program.source.map_or(0, |(_, functions, _)| record_size(functions)),
        func_info: program.source.map_or(0, |(_, functions, _)| address(functions.records.as_slice())),
        func_info_cnt: program.source.map_or(0, |(_, functions, _)| functions.count()),
        line_info_rec_size: program.source.map_or(0, |(.., lines)| record_size(lines)),
        line_info: program.source.map_or(0, |(.., lines)| address(lines.records.as_slice())),
        line_info_cnt: program.source.map_or(0, |(.., lines)| lines.count()),
        attach_btf_id: program.attach_to.map_or(0, |(id, _)| id),
        attach_btf_obj_fd: program.attach_to.and_then(|(_, module)| module).map_or(0, raw),
        core_relo_cnt: 0,
    };
    bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attach a program to a raw tracepoint, or (without a name) to the function it was loaded for.
pub(crate) fn raw_tracepoint_open(program: BorrowedFd<'_>, name: Option<&CStr>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        name: u64,
        prog_fd: u32,
        padding: u32,
    }
    let name = name.map_or(0, |name| name.as_ptr() as u64);
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut Attr { name, prog_fd: raw(program), padding: 0 })
}

/// Attach a program to a perf event by a link of its own (Linux 5.15 and newer).
pub(crate) fn link_create_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
        cookie: u64,
    }
    let attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    let mut attr = Attr { prog_fd: raw(program), target_fd: raw(event), attach_type, flags: 0, cookie: 0 };
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

#[repr(C)]
struct InfoAttr {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// Ask about an object; fields that this kernel does not have stay 0.
fn info<T>(fd: BorrowedFd<'_>) -> io::Result<T> {
    // SAFETY: only called with the kernel's plain info structs, for which all zeros is a value.
    let mut info: T = unsafe { mem::zeroed() };
    let info_len = u32::try_from(mem::size_of::<T>()).unwrap_or(0);
    let mut attr = InfoAttr { bpf_fd: raw(fd), info_len, info: ptr::from_mut(&mut info) as u64 };
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info)
}

pub(crate) fn program_info(fd: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    info(fd)
}

pub(crate) fn map_info(fd: BorrowedFd<'_>) -> io::Result<bpf_map_info> {
    info(fd)
}

/// What a link says of itself: `struct bpf_link_info` with the part for kprobes.
#[repr(C)]
pub(crate) struct LinkInfo {
    pub(crate) link_type: u32,
    pub(crate) id: u32,
    program_id: u32,
    padding: u32,
    /// `BPF_PERF_EVENT_KPROBE` or its neighbours; 0 before Linux 6.6.
    pub(crate) perf_type: u32,
    perf_padding: u32,
    function_name: u64,
    name_len: u32,
    offset: u32,
    address: u64,
    /// Hits that ran no program: Linux 6.7 and newer.
    pub(crate) missed: u64,
    cookie: u64,
}

pub(crate) fn link_info(fd: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    info(fd)
}

/// Return the BTF of a loaded kernel module.
pub(crate) fn module_btf(module: &str) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct IdAttr {
        id: u32,
        next_id: u32,
        open_flags: u32,
    }
    #[repr(C)]
    struct BtfInfo {
        btf: u64,
        btf_size: u32,
        id: u32,
        name: u64,
        name_len: u32,
        kernel_btf: u32,
    }
    let mut attr = IdAttr { id: 0, next_id: 0, open_flags: 0 };
    loop {
        bpf(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut attr)?;
        attr.id = attr.next_id;
        let Ok(fd) = bpf_fd(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut attr) else { continue };
        let mut name = [0_u8; 64];
        let mut info =
            BtfInfo { btf: 0, btf_size: 0, id: 0, name: address_mut(&mut name), name_len: 64, kernel_btf: 0 };
        let info_len = u32::try_from(mem::size_of::<BtfInfo>()).unwrap_or(0);
        let info_address = ptr::from_mut(&mut info) as u64;
        let mut ask = InfoAttr { bpf_fd: fd.as_raw_fd().cast_unsigned(), info_len, info: info_address };
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut ask)?;
        if info.kernel_btf != 0 && name.split(|byte| *byte == 0).next() == Some(module.as_bytes()) {
            return Ok(fd);
        }
    }
}

/// Return `text` as a C string, or an error that names the NUL byte in it.
pub(crate) fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "contains a NUL byte"))
}
