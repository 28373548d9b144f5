//! Masks that old verifiers understand.
//!
//! Of `if (index >= 69) return 0;` a new compiler keeps in mind that seven bits are left, and where the index becomes one
//! of 64 bits it makes `r6 &= 127`. The comparison was of the lower half, `w6`. Of that an old verifier (Linux 6.1 is one)
//! knows nothing when it looks at the whole of `r6`, takes the index for anything up to 127, and refuses the access. As
//! `w6 &= 127` the instruction does the same, and is about the half that was compared.

use aya_obj::generated::bpf_insn;

/// `r &= immediate`, and `w &= immediate`, which clears the upper half.
const AND_64: u8 = 0x57;
const AND_32: u8 = 0x54;

/// Let masks be about the lower half, where they leave nothing else.
pub(crate) fn narrow(instructions: &mut [bpf_insn]) {
    for instruction in instructions.iter_mut().filter(|instruction| instruction.code == AND_64 && instruction.imm >= 0)
    {
        instruction.code = AND_32;
    }
}

#[cfg(test)]
mod tests {
    use aya_obj::generated::bpf_insn;

    use super::{AND_32, AND_64, narrow};

    #[test]
    fn only_what_leaves_nothing_of_the_upper_half_changes() {
        let instruction = |code, imm| bpf_insn {
            code,
            _bitfield_align_1: [],
            _bitfield_1: bpf_insn::new_bitfield_1(6, 0),
            off: 0,
            imm,
        };
        // The immediate of 64 bits is extended by its sign; 0x5f masks by a register, 0x18 begins a number of 64 bits.
        let mut code = [(AND_64, 127), (AND_64, -8), (AND_64, 0), (0x5f, 0), (0x47, 127), (0x18, 0x57), (0, 0x57)]
            .map(|(code, imm)| instruction(code, imm));
        narrow(&mut code);
        assert_eq!(code.map(|instruction| instruction.code), [AND_32, AND_64, AND_32, 0x5f, 0x47, 0x18, 0]);
    }
}
