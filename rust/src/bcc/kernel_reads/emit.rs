//! The new program: every read written out, every distance counted again.

use super::{
    Fault, What,
    graph::{Graph, instructions, target},
    helpers::PROBE_READ,
    instruction::{FRAME, Flow, Instruction, code},
    liveness::Liveness,
    registers::Registers,
    state::State,
    value::Kinds,
};

/// A load to be replaced.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) function: usize,
    pub(super) at: usize,
    /// Registers that the helper would destroy and the program still needs.
    keep: Registers,
    /// Of these, registers that on some ways have never been written.
    maybe_unset: Registers,
    /// Registers that the program does not need just now, and the helper leaves alone.
    free: Registers,
}

impl Read {
    pub(super) fn new(function: usize, at: usize, load: Instruction, state: &State, liveness: &Liveness) -> Self {
        let live = liveness.after[at] - Registers::of(load.dst);
        let keep = live & Registers::CALLER_SAVED;
        let unset = keep.iter().filter(|register| state.get(*register).kinds.has(Kinds::UNSET));
        let maybe_unset = unset.fold(Registers::NONE, |set, register| set | Registers::of(register));
        let free = Registers::CALLEE_SAVED - live - Registers::of(load.dst) - Registers::of(load.src);
        Self { function, at, keep, maybe_unset, free }
    }

    /// How many slots on the stack it takes: one to read into, and one for each register that has no other place.
    pub(super) fn slots(&self) -> usize {
        1 + self.keep.iter().count().saturating_sub(self.free.iter().count())
    }

    /// The load in other words. `top` is the offset that its room on the stack ends at.
    fn write(&self, load: Instruction, top: i64, out: &mut Vec<Instruction>) {
        let slot = |index: i64| i16::try_from(top - 8 * (index + 1)).unwrap_or(i16::MIN);
        let mut free = self.free.iter();
        let mut slots = 1..;
        // A copy in a register keeps what the verifier knows of a number, which older kernels forget on the stack.
        let mut place = |register| {
            if let Some(other) = free.next() {
                return (copy(other, register), copy(register, other));
            }
            let off = slot(slots.next().unwrap_or_default());
            let there = Instruction { code: code::STX | code::MEM | code::DW, dst: FRAME, src: register, off, imm: 0 };
            (there, Instruction { code: code::LDX | code::MEM | code::DW, dst: register, src: FRAME, off, imm: 0 })
        };
        let (there, back): (Vec<_>, Vec<_>) = self.keep.iter().map(&mut place).unzip();
        out.extend(there);
        if load.src != 3 {
            out.push(copy(3, load.src));
        }
        if load.off != 0 {
            out.push(with_number(code::ADD, 3, i32::from(load.off)));
        }
        let buffer = slot(0);
        out.push(copy(1, FRAME));
        out.push(with_number(code::ADD, 1, i32::from(buffer)));
        out.push(with_number(code::MOV, 2, i32::from(load.bytes())));
        out.push(Instruction { code: code::JMP | code::CALL, imm: PROBE_READ, ..Instruction::default() });
        out.push(Instruction { src: FRAME, off: buffer, ..load });
        out.extend(back);
    }
}

const fn copy(to: u8, from: u8) -> Instruction {
    Instruction { code: code::ALU64 | code::MOV | code::X, dst: to, src: from, off: 0, imm: 0 }
}

const fn with_number(operation: u8, dst: u8, imm: i32) -> Instruction {
    Instruction { code: code::ALU64 | operation, dst, src: 0, off: 0, imm }
}

/// Write the program again; return it and where each of the old instructions has gone.
pub(super) fn emit(
    code: &[Instruction],
    graph: &Graph,
    reads: &[Read],
    rooms: &[i64],
    liveness: &Liveness,
) -> Result<(Vec<Instruction>, Vec<usize>), Fault> {
    let unset = unset_origins(code, graph, reads, liveness);
    let mut out = Vec::with_capacity(code.len() + 8 * reads.len());
    // Where calls and notes about the source go, and where jumps go: past what is done once on entry.
    let mut entered = vec![0; code.len() + 1];
    let mut landed = vec![0; code.len() + 1];
    // Where jumps and calls are, old and new.
    let mut moved = Vec::new();
    let mut reads = reads.iter().peekable();
    let mut unset = unset.into_iter().peekable();
    for (at, instruction) in instructions(code) {
        entered[at] = out.len();
        if let Some((_, registers)) = unset.next_if(|(place, _)| *place == Place::Before(at)) {
            out.extend(registers.iter().map(|register| with_number(code::MOV, register, 0)));
        }
        landed[at] = out.len();
        if let Some(read) = reads.next_if(|read| read.at == at) {
            read.write(instruction, rooms[read.function], &mut out);
            continue;
        }
        moved.push((at, out.len()));
        out.push(instruction);
        if instruction.is_wide() {
            entered[at + 1] = out.len();
            out.push(code[at + 1]);
        }
        if let Some((_, registers)) = unset.next_if(|(place, _)| *place == Place::After(at)) {
            out.extend(registers.iter().map(|register| with_number(code::MOV, register, 0)));
        }
    }
    for (old, new) in moved {
        let instruction = &mut out[new];
        let count = |there: &[usize], distance: i64| {
            let target = target(old, distance).map_or(0, |target| there[target]);
            target.checked_signed_diff(new + 1).map_or(i64::MAX, |distance| distance as i64)
        };
        let too_far = |distance: i64| Fault { at: old, what: What::TooFar(distance) };
        let (there, distance) = match (instruction.function_address(), instruction.flow()) {
            (Some(distance), _) | (None, Flow::Call(distance)) => (&entered, distance),
            (None, Flow::Jump(distance) | Flow::Branch(distance)) => (&landed, distance),
            (None, Flow::Next | Flow::Exit) => continue,
        };
        let distance = count(there, distance);
        if instruction.is_short_jump() {
            instruction.off = i16::try_from(distance).map_err(|_| too_far(distance))?;
        } else {
            instruction.imm = i32::try_from(distance).map_err(|_| too_far(distance))?;
        }
    }
    entered.truncate(code.len());
    Ok((out, entered))
}

/// Where a register that is kept over a read may come from without having been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Before(usize),
    After(usize),
}

/// Find where registers have to be set so that reads can keep them.
///
/// A variable that C leaves unset on one way is kept in a register that nobody has written on that way. The verifier
/// accepts that as long as it is not read there, and keeping it reads it.
fn unset_origins(code: &[Instruction], graph: &Graph, reads: &[Read], liveness: &Liveness) -> Vec<(Place, Registers)> {
    let mut wanted = vec![Registers::NONE; graph.entries.len()];
    for read in reads {
        wanted[read.function] = wanted[read.function] | read.maybe_unset;
    }
    let mut origins = Vec::new();
    for (index, block) in graph.blocks.iter().enumerate() {
        let wanted = wanted[block.function];
        if graph.entries[block.function] == index {
            let set = if block.function == 0 { Registers::of(1) } else { Registers::ARGUMENTS };
            origins.push((Place::Before(block.start), (liveness.before[block.start] & wanted) - set));
        }
        for (at, instruction) in instructions(&code[block.start..block.end]) {
            let at = at + block.start;
            if instruction.defines() == Registers::CALLER_SAVED {
                origins.push((Place::After(at), (liveness.after[at] & wanted) - Registers::of(0)));
            }
        }
    }
    origins.retain(|(_, registers)| *registers != Registers::NONE);
    origins
}
