//! What registers and stack slots may hold at one place, and what an instruction makes of it.

use super::{
    graph::target,
    helpers,
    instruction::{FRAME, Instruction, code},
    value::{Kinds, Value},
};

/// The kernel's `MAX_BPF_STACK`.
pub(super) const STACK_BYTES: i64 = 512;
pub(super) const SLOT_BYTES: i64 = 8;
const SLOTS: usize = 64;

/// What the type of a program says about its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// Memory with numbers in it: registers, a tracepoint's record, a raw tracepoint's arguments.
    Memory,
    /// The same, but the memory looks otherwise than the program sees it: perf events.
    Converted,
    /// The verifier knows the types of what is in it, and of what these point to: fentry and its like.
    Typed,
    /// The same, but the program casts them to others: it reads past the types that the verifier knows.
    Cast,
}

impl Context {
    fn is_typed(self) -> bool {
        matches!(self, Self::Typed | Self::Cast)
    }

    /// Whether the verifier may refuse a load through `base`, and a helper reads the same.
    pub(super) fn must_read(self, base: Value) -> bool {
        if base.kinds.has(Kinds::SCALAR) {
            return !(base.kinds.has(Kinds::CONTEXT) && self != Self::Memory);
        }
        if self == Self::Cast && base.kinds.has(Kinds::TYPED) {
            return !base.kinds.has(Kinds::CONTEXT);
        }
        // 0 and nothing else: whoever gets there reads 0.
        base.kinds.has(Kinds::ZERO) && !base.kinds.may_point()
    }
}

/// What registers and stack slots may hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    registers: [Value; 11],
    slots: Vec<Value>,
}

impl State {
    /// The state in which a function is entered.
    pub(super) fn entered(arguments: &[Value]) -> Self {
        let mut registers = [Value::UNSET; 11];
        registers[1..=arguments.len()].copy_from_slice(arguments);
        registers[usize::from(FRAME)] = Value::stack(0);
        Self { registers, slots: vec![Value::UNSET; SLOTS] }
    }

    pub(super) fn get(&self, register: u8) -> Value {
        self.registers[usize::from(register)]
    }

    fn set(&mut self, register: u8, value: Value) {
        // r10 is read only; the verifier refuses who tries.
        if register != FRAME {
            self.registers[usize::from(register)] = value;
        }
    }

    /// The arguments of a call, as the callee sees them.
    pub(super) fn arguments(&self) -> [Value; 5] {
        [1, 2, 3, 4, 5].map(|register| self.get(register).abroad())
    }

    pub(super) fn join(&mut self, other: &Self) -> bool {
        let mut grew = false;
        let ours = self.registers.iter_mut().chain(&mut self.slots);
        for (ours, theirs) in ours.zip(other.registers.iter().chain(&other.slots)) {
            let joined = ours.join(*theirs);
            grew |= joined != *ours;
            *ours = joined;
        }
        grew
    }

    /// The slot that starts at an offset, if one does.
    fn slot(&mut self, offset: i64) -> Option<&mut Value> {
        let above_bottom = offset.checked_add(STACK_BYTES).filter(|bytes| bytes % SLOT_BYTES == 0)?;
        self.slots.get_mut(usize::try_from(above_bottom / SLOT_BYTES).ok()?)
    }

    /// Something may have been written to `bytes` at an offset.
    fn weaken(&mut self, offset: i64, bytes: i64) {
        let end = offset.saturating_add(bytes);
        let starts = (0..).map(|index| SLOT_BYTES * index - STACK_BYTES);
        for (slot, start) in self.slots.iter_mut().zip(starts) {
            if start < end && offset < start + SLOT_BYTES {
                *slot = slot.weakened();
            }
        }
    }

    fn weaken_all(&mut self) {
        self.weaken(-STACK_BYTES, STACK_BYTES);
    }

    pub(super) fn clobber(&mut self, result: Value) {
        self.set(0, result);
        for register in 1..=5 {
            self.set(register, Value::UNSET);
        }
    }

    fn load(&mut self, instruction: Instruction, context: Context) -> Value {
        let base = self.get(instruction.src);
        if instruction.bytes() != 8 || instruction.mode() != code::MEM {
            return Value::SCALAR;
        }
        if let Some(frame) = base.frame_offset() {
            let slot = self.slot(frame.saturating_add(i64::from(instruction.off))).copied().unwrap_or_default();
            return slot.copied();
        }
        let mut loaded = Value::default();
        let typed = if context.is_typed() { Kinds::TYPED.with(Kinds::CONTEXT) } else { Kinds::TYPED };
        if base.kinds.has(typed) {
            loaded = loaded.join(Value::TYPED);
        }
        if base.kinds.without(typed) != Kinds::default() {
            loaded = loaded.join(Value::SCALAR);
        }
        loaded
    }

    fn store(&mut self, instruction: Instruction, value: Value) {
        let base = self.get(instruction.dst);
        if !base.kinds.has(Kinds::STACK) {
            return;
        }
        let Some(frame) = base.frame_offset() else { return self.weaken_all() };
        let offset = frame.saturating_add(i64::from(instruction.off));
        let whole = instruction.bytes() == 8 && !instruction.is_atomic();
        if let Some(slot) = self.slot(offset).filter(|_| whole) {
            *slot = value;
            return;
        }
        // The rest of an overwritten pointer is a number.
        let bytes = i64::from(instruction.bytes());
        for start in [offset.div_euclid(8) * 8, offset.saturating_add(bytes - 1).div_euclid(8) * 8] {
            if let Some(slot) = self.slot(start) {
                *slot = Value::SCALAR;
            }
        }
    }

    /// A helper may write to memory that it is given on the stack.
    fn helper_writes(&mut self, helper: i32) {
        if helpers::only_reads(helper) {
            return;
        }
        let count = helpers::arguments(helper);
        for register in 1..=count {
            let argument = self.get(register);
            if !argument.kinds.has(Kinds::STACK) {
                continue;
            }
            let Some(frame) = argument.frame_offset() else { return self.weaken_all() };
            // Memory and its size come one after the other.
            let size = if register < count { self.get(register + 1).number() } else { None };
            self.weaken(frame, size.filter(|_| helpers::calls_back(helper).is_none()).unwrap_or(STACK_BYTES));
        }
    }

    /// A function of the program may write to what it is given of this frame.
    pub(super) fn callee_writes(&mut self) {
        for register in 1..=5 {
            let argument = self.get(register);
            if argument.kinds.has(Kinds::STACK) {
                match argument.frame_offset() {
                    Some(frame) => self.weaken(frame, STACK_BYTES),
                    None => self.weaken_all(),
                }
            }
        }
    }

    /// Run one instruction that neither calls a function of the program nor jumps.
    pub(super) fn step(&mut self, at: usize, instruction: Instruction, second: Option<i32>, context: Context) {
        let Instruction { dst, src, imm, .. } = instruction;
        match instruction.class() {
            code::LD if instruction.is_wide() => {
                let number = i64::from(second.unwrap_or_default()) << 32 | i64::from(imm.cast_unsigned());
                self.set(
                    dst,
                    match src {
                        code::PSEUDO_NONE => Value::constant(number),
                        code::PSEUDO_BTF_ID => Value::TYPED,
                        code::PSEUDO_FUNC => target(at, i64::from(imm)).map_or(Value::MEMORY, Value::function),
                        _ => Value::MEMORY,
                    },
                );
            }
            code::LD => self.clobber(Value::SCALAR),
            code::LDX => {
                let loaded = if instruction.is_load() { self.load(instruction, context) } else { Value::SCALAR };
                self.set(dst, loaded);
            }
            code::ST => self.store(instruction, Value::constant(i64::from(imm))),
            code::STX => {
                self.store(instruction, self.get(src).copied());
                if instruction.is_atomic() {
                    for register in instruction.defines().iter() {
                        self.set(register, Value::SCALAR);
                    }
                }
            }
            code::ALU | code::ALU64 => {
                let value = self.computed(instruction);
                self.set(dst, value);
            }
            _ => {
                if let Some(helper) = instruction.helper() {
                    self.helper_writes(helper);
                    self.clobber(helpers::returns(helper));
                } else if instruction.is_call() {
                    // A kernel function, or a pointer to one.
                    self.callee_writes();
                    self.clobber(Value::of(Kinds::SCALAR.with(Kinds::MEMORY)));
                }
            }
        }
    }

    fn computed(&self, instruction: Instruction) -> Value {
        let Instruction { dst, src, imm, .. } = instruction;
        let operand = if instruction.has_source() { self.get(src) } else { Value::constant(i64::from(imm)) };
        let wide = instruction.class() == code::ALU64;
        match instruction.operation() {
            code::ADD if wide => self.get(dst).add(operand),
            code::SUB if wide => self.get(dst).subtract(operand),
            code::MOV if wide && instruction.off == 0 => operand.copied(),
            // The upper half becomes 0.
            code::MOV if instruction.off == 0 => match operand.number() {
                Some(number) => Value::constant(number & i64::from(u32::MAX)),
                None => Value::SCALAR,
            },
            // To an address space of the kernel's or the process's (arenas, Linux 6.9).
            code::MOV if wide && instruction.off == 1 => Value::MEMORY,
            _ => Value::SCALAR,
        }
    }
}
