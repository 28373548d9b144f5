//! What the kernel says about programs, maps, links and BTF.

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    ptr,
};

use aya_obj::generated::{bpf_cmd, bpf_map_info, bpf_prog_info};

use super::{address_mut, bpf, bpf_fd, raw};

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
