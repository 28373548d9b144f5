//! Programs and the BTF that describes them.

use std::{
    ffi::CStr,
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_insn, bpf_prog_type};

use super::{NAME_LEN, address, address_mut, bpf_fd, object_name, raw};

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

/// Load a program; with `log` the verifier's words are left there, as many of them as its level asks for.
pub(crate) fn program_load(
    program: &ProgramAttributes<'_>,
    mut log: Option<(&mut Vec<u8>, u32)>,
) -> io::Result<OwnedFd> {
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
        log_level: log.as_ref().map_or(0, |(_, level)| *level),
        log_size: log.as_ref().map_or(0, |(log, _)| u32::try_from(log.len()).unwrap_or(u32::MAX)),
        log_buf: log.as_mut().map_or(0, |(log, _)| address_mut(log.as_mut_slice())),
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
