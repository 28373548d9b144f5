//! One instruction: what it reads, what it writes, where it goes.

use aya_obj::generated::bpf_insn;

use super::registers::Registers;

/// Instruction classes, operations, sizes and modes: `include/uapi/linux/bpf.h` and `bpf_common.h`.
pub(super) mod code {
    pub(crate) const LD: u8 = 0;
    pub(crate) const LDX: u8 = 1;
    pub(crate) const ST: u8 = 2;
    pub(crate) const STX: u8 = 3;
    pub(crate) const ALU: u8 = 4;
    pub(crate) const JMP: u8 = 5;
    pub(crate) const JMP32: u8 = 6;
    pub(crate) const ALU64: u8 = 7;

    /// The second operand is a register.
    pub(crate) const X: u8 = 0x08;

    pub(crate) const ADD: u8 = 0x00;
    pub(crate) const SUB: u8 = 0x10;
    pub(crate) const NEG: u8 = 0x80;
    pub(crate) const MOV: u8 = 0xb0;
    pub(crate) const END: u8 = 0xd0;

    pub(crate) const JA: u8 = 0x00;
    pub(crate) const CALL: u8 = 0x80;
    pub(crate) const EXIT: u8 = 0x90;
    /// `may_goto`, which jumps or falls through as the kernel sees fit (Linux 6.10).
    pub(crate) const MAY_GOTO: u8 = 0xe0;

    pub(crate) const W: u8 = 0x00;
    pub(crate) const H: u8 = 0x08;
    pub(crate) const B: u8 = 0x10;
    pub(crate) const DW: u8 = 0x18;

    pub(crate) const IMM: u8 = 0x00;
    pub(crate) const ABS: u8 = 0x20;
    pub(crate) const IND: u8 = 0x40;
    pub(crate) const MEM: u8 = 0x60;
    /// A load that extends the sign (Linux 6.6).
    pub(crate) const MEMSX: u8 = 0x80;
    pub(crate) const ATOMIC: u8 = 0xc0;

    /// In the immediate of an atomic operation: the old value comes back in the source register, or for
    /// compare-and-exchange in r0.
    pub(crate) const FETCH: i32 = 0x01;
    pub(crate) const CMPXCHG: i32 = 0xf1;
    pub(crate) const LOAD_ACQUIRE: i32 = 0x100;

    /// `src` of a call: a function of the same program.
    pub(crate) const PSEUDO_CALL: u8 = 1;
    /// `src` of a 64-bit constant: a plain number, a variable of the kernel, a function of the same program. The
    /// others are maps and what is in them.
    pub(crate) const PSEUDO_NONE: u8 = 0;
    pub(crate) const PSEUDO_BTF_ID: u8 = 3;
    pub(crate) const PSEUDO_FUNC: u8 = 4;
}

/// The stack pointer of a frame, read only.
pub(super) const FRAME: u8 = 10;

/// `struct bpf_insn` without the bit field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u8,
    pub(super) dst: u8,
    pub(super) src: u8,
    pub(super) off: i16,
    pub(super) imm: i32,
}

impl From<&bpf_insn> for Instruction {
    fn from(raw: &bpf_insn) -> Self {
        Self { code: raw.code, dst: raw.dst_reg(), src: raw.src_reg(), off: raw.off, imm: raw.imm }
    }
}

impl From<Instruction> for bpf_insn {
    fn from(instruction: Instruction) -> Self {
        let Instruction { code, dst, src, off, imm } = instruction;
        Self { code, _bitfield_align_1: [], _bitfield_1: Self::new_bitfield_1(dst, src), off, imm }
    }
}

/// How an instruction hands on control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next instruction.
    Next,
    /// To another instruction; distances count from the one after the jump.
    Jump(i64),
    /// To either.
    Branch(i64),
    /// To a function of the same program, then to the next instruction.
    Call(i64),
    /// To the caller.
    Exit,
}

impl Instruction {
    pub(super) const fn class(self) -> u8 {
        self.code & 0x07
    }

    /// Operation of an ALU or jump instruction.
    pub(super) const fn operation(self) -> u8 {
        self.code & 0xf0
    }

    pub(super) const fn has_source(self) -> bool {
        self.code & code::X != 0
    }

    /// Mode of a load or store.
    pub(super) const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// Bytes that a load or store moves.
    pub(super) const fn bytes(self) -> u8 {
        match self.code & 0x18 {
            code::W => 4,
            code::H => 2,
            code::B => 1,
            _ => 8,
        }
    }

    /// Whether it is a 64-bit constant, which takes two places.
    pub(super) const fn is_wide(self) -> bool {
        self.code == code::LD | code::IMM | code::DW
    }

    /// Whether it loads from memory into a register.
    pub(super) const fn is_load(self) -> bool {
        self.class() == code::LDX && matches!(self.mode(), code::MEM | code::MEMSX)
    }

    pub(super) const fn is_atomic(self) -> bool {
        self.class() == code::STX && self.mode() == code::ATOMIC
    }

    const fn is_jump(self) -> bool {
        matches!(self.class(), code::JMP | code::JMP32)
    }

    pub(super) const fn is_call(self) -> bool {
        self.class() == code::JMP && self.operation() == code::CALL
    }

    /// Number of the helper that it calls.
    pub(super) const fn helper(self) -> Option<i32> {
        if self.is_call() && self.src == 0 && !self.has_source() { Some(self.imm) } else { None }
    }

    /// Where the function is whose address it takes; distance from the next instruction.
    pub(super) fn function_address(self) -> Option<i64> {
        (self.is_wide() && self.src == code::PSEUDO_FUNC).then(|| i64::from(self.imm))
    }

    /// Whether it is a jump whose distance is in `off`: all but `gotol` of the fourth instruction set.
    pub(super) const fn is_short_jump(self) -> bool {
        let short = self.class() == code::JMP || self.operation() != code::JA;
        self.is_jump() && !self.is_call() && short
    }

    pub(super) fn flow(self) -> Flow {
        if !self.is_jump() {
            return Flow::Next;
        }
        match (self.class(), self.operation()) {
            (code::JMP, code::EXIT) => Flow::Exit,
            (code::JMP, code::CALL) if self.src == code::PSEUDO_CALL => Flow::Call(i64::from(self.imm)),
            (_, code::CALL | code::EXIT) => Flow::Next,
            (code::JMP, code::JA) => Flow::Jump(i64::from(self.off)),
            (_, code::JA) => Flow::Jump(i64::from(self.imm)),
            _ => Flow::Branch(i64::from(self.off)),
        }
    }

    /// Registers that it reads; those of a call are not told here, they depend on what is called.
    pub(super) fn uses(self) -> Registers {
        let source = if self.has_source() { Registers::of(self.src) } else { Registers::NONE };
        match self.class() {
            code::LD if self.mode() == code::IND => Registers::of(6) | Registers::of(self.src),
            code::LD if self.mode() == code::ABS => Registers::of(6),
            code::LDX => Registers::of(self.src),
            code::ST => Registers::of(self.dst),
            code::STX if self.is_atomic() && self.imm == code::LOAD_ACQUIRE => Registers::of(self.src),
            code::STX if self.is_atomic() && self.imm == code::CMPXCHG => {
                Registers::of(self.dst) | Registers::of(self.src) | Registers::of(0)
            }
            code::STX => Registers::of(self.dst) | Registers::of(self.src),
            code::ALU | code::ALU64 => match self.operation() {
                code::MOV => source,
                code::NEG | code::END => Registers::of(self.dst),
                _ => Registers::of(self.dst) | source,
            },
            code::JMP | code::JMP32 => match self.operation() {
                code::EXIT => Registers::of(0),
                code::JA | code::CALL | code::MAY_GOTO => Registers::NONE,
                _ => Registers::of(self.dst) | source,
            },
            _ => Registers::NONE,
        }
    }

    /// Registers that do not keep their value.
    pub(super) fn defines(self) -> Registers {
        match self.class() {
            code::LD if matches!(self.mode(), code::ABS | code::IND) => Registers::CALLER_SAVED,
            code::LD | code::LDX | code::ALU | code::ALU64 => Registers::of(self.dst),
            code::STX if self.is_atomic() => match self.imm {
                code::CMPXCHG => Registers::of(0),
                code::LOAD_ACQUIRE => Registers::of(self.dst),
                imm if imm & code::FETCH != 0 => Registers::of(self.src),
                _ => Registers::NONE,
            },
            code::JMP if self.operation() == code::CALL => Registers::CALLER_SAVED,
            _ => Registers::NONE,
        }
    }
}
