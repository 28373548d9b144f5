//! The forward data flow: what every register and stack slot may hold, at the start of every block.
//!
//! One pass over the whole program: a function's arguments are those of all its calls together, its result is that of
//! all its ends. States only ever grow, and cannot grow for ever, so this ends for any input.

use std::collections::BTreeSet;

use super::{
    graph::{Graph, instructions, target},
    helpers,
    instruction::{self, FRAME, Instruction, code},
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
    /// The verifier knows the types of what is in it: fentry and its like.
    Typed,
}

impl Context {
    /// Whether the verifier may refuse a load through `base`, and a helper reads the same.
    pub(super) fn must_read(self, base: Value) -> bool {
        if base.kinds.has(Kinds::SCALAR) {
            return !(base.kinds.has(Kinds::CONTEXT) && self != Self::Memory);
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
    fn entered(arguments: &[Value]) -> Self {
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
    fn arguments(&self) -> [Value; 5] {
        [1, 2, 3, 4, 5].map(|register| self.get(register).abroad())
    }

    fn join(&mut self, other: &Self) -> bool {
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

    fn clobber(&mut self, result: Value) {
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
        if base.kinds.has(Kinds::TYPED) || (base.kinds.has(Kinds::CONTEXT) && context == Context::Typed) {
            loaded = loaded.join(Value::TYPED);
        }
        if base.kinds.without(Kinds::TYPED) != Kinds::default()
            && !(base.kinds == Kinds::CONTEXT && context == Context::Typed)
        {
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
    fn callee_writes(&mut self) {
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

/// The states at the starts of the blocks; blocks that no way leads to have none.
pub(super) struct Flow<'a> {
    code: &'a [Instruction],
    graph: &'a Graph,
    context: Context,
    states: Vec<Option<State>>,
    /// What each function returns; nothing, as long as no end of it has been seen.
    returned: Vec<Value>,
    waiting: BTreeSet<usize>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(code: &'a [Instruction], graph: &'a Graph, context: Context) -> Self {
        let mut flow = Self {
            code,
            graph,
            context,
            states: vec![None; graph.blocks.len()],
            returned: vec![Value::default(); graph.entries.len()],
            waiting: BTreeSet::new(),
        };
        flow.reach(0, &State::entered(&[Value::CONTEXT]));
        let mut callers = vec![Vec::new(); graph.entries.len()];
        for (index, block) in graph.blocks.iter().enumerate() {
            if let Some(callee) = block.callee {
                callers[callee].push(index);
            }
        }
        while let Some(block) = flow.waiting.pop_first() {
            flow.run(block, &callers);
        }
        flow
    }

    /// Call `visit` with every instruction that can be reached and the state before it.
    pub(super) fn visit(&self, mut visit: impl FnMut(usize, usize, Instruction, &State)) {
        for (block, state) in self.graph.blocks.iter().zip(&self.states) {
            let Some(state) = state else { continue };
            let mut state = state.clone();
            for (at, instruction) in self.instructions_of(block.start, block.end) {
                visit(block.function, at, instruction, &state);
                state.step(at, instruction, self.second(at), self.context);
            }
        }
    }

    fn instructions_of(&self, start: usize, end: usize) -> impl Iterator<Item = (usize, Instruction)> + use<'a> {
        instructions(&self.code[start..end]).map(move |(at, instruction)| (at + start, instruction))
    }

    fn second(&self, at: usize) -> Option<i32> {
        self.code.get(at + 1).map(|second| second.imm)
    }

    fn reach(&mut self, block: usize, state: &State) {
        let grew = match &mut self.states[block] {
            Some(known) => known.join(state),
            unknown => {
                *unknown = Some(state.clone());
                true
            }
        };
        if grew {
            self.waiting.insert(block);
        }
    }

    fn run(&mut self, index: usize, callers: &[Vec<usize>]) {
        let graph = self.graph;
        let block = &graph.blocks[index];
        let Some(mut state) = self.states[index].clone() else { return };
        for (at, instruction) in self.instructions_of(block.start, block.end) {
            if let Some(calls) = instruction.helper().and_then(helpers::calls_back) {
                self.call_back(&state, &calls);
            }
            if block.callee.is_none() || at != block.last {
                state.step(at, instruction, self.second(at), self.context);
            }
        }
        if let Some(callee) = block.callee {
            self.reach(graph.entries[callee], &State::entered(&state.arguments()));
            if self.returned[callee] == Value::default() {
                return;
            }
            state.callee_writes();
            state.clobber(self.returned[callee]);
        } else if self.code[block.last].flow() == instruction::Flow::Exit {
            let returned = self.returned[block.function].join(state.get(0).abroad().copied());
            if returned != self.returned[block.function] {
                self.returned[block.function] = returned;
                self.waiting.extend(&callers[block.function]);
            }
        }
        for next in &block.successors {
            self.reach(*next, &state);
        }
    }

    /// A helper calls a function of the program.
    fn call_back(&mut self, state: &State, calls: &helpers::CallsBack) {
        let function = state.get(calls.function);
        let start = function.exact.filter(|_| function.kinds == Kinds::FUNCTION);
        let function = start.and_then(|start| self.graph.function_at(usize::try_from(start).ok()?));
        if let Some(function) = function {
            let mut given = calls.given.to_vec();
            given.extend(calls.context.map(|register| state.get(register).abroad()));
            self.reach(self.graph.entries[function], &State::entered(&given));
            return;
        }
        let anything = [Value::of(Kinds::SCALAR.with(Kinds::MEMORY)); 5];
        for function in &self.graph.callbacks {
            self.reach(self.graph.entries[*function], &State::entered(&anything));
        }
    }
}
