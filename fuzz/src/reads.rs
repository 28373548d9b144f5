//! Programs made of any bytes.

use aya_obj::{Function, generated::bpf_insn};

use super::bcc::kernel_reads::{self, Context};

/// Replace the reads of a program: eight bytes are an instruction, as the kernel has them.
pub fn reads(data: &[u8]) {
    let instruction = |bytes: &[u8; 8]| bpf_insn {
        code: bytes[0],
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(bytes[1] & 15, bytes[1] >> 4),
        off: i16::from_le_bytes([bytes[2], bytes[3]]),
        imm: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    let instructions: Vec<_> = data.as_chunks().0.iter().map(instruction).collect();
    for context in [Context::Memory, Context::Converted, Context::Typed, Context::Cast] {
        let mut function = Function {
            address: 0,
            name: "program".into(),
            section_index: object::SectionIndex(0),
            section_offset: 0,
            instructions: instructions.clone(),
            func_info: aya_obj::btf::FuncSecInfo::default(),
            line_info: aya_obj::btf::LineSecInfo::default(),
            func_info_rec_size: 8,
            line_info_rec_size: 16,
        };
        if let Ok(reads) = kernel_reads::rewrite(&mut function, context) {
            // Each of them takes five more instructions at least.
            assert!(function.instructions.len() >= instructions.len() + 4 * reads);
            assert!(reads > 0 || function.instructions.len() == instructions.len());
        }
    }
}
