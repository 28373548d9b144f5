//! The stack: how much of its frame each function uses, and where the reads find room.

use super::{
    Fault, What,
    emit::Read,
    graph::Graph,
    instruction::{Instruction, code},
    liveness::Liveness,
    state::{SLOT_BYTES, STACK_BYTES, State},
    value::Kinds,
};

/// What is known of a function's use of its frame.
#[derive(Clone, Debug, Default)]
struct Use {
    /// The lowest offset that is written to, read or pointed at; at most 0.
    lowest: i64,
    /// Whether there are pointers into the frame with offsets that are not known.
    unknown: bool,
    /// Where in the program that lowest use is.
    at: usize,
}

/// The frames of a program's functions as its code uses them.
pub(super) struct Frames {
    uses: Vec<Use>,
}

impl Frames {
    pub(super) fn new(graph: &Graph) -> Self {
        let entered = |entry: &usize| Use { at: graph.blocks[*entry].start, ..Use::default() };
        Self { uses: graph.entries.iter().map(entered).collect() }
    }

    /// Take note of an instruction and what it works on.
    pub(super) fn see(
        &mut self,
        function: usize,
        at: usize,
        instruction: Instruction,
        state: &State,
        liveness: &Liveness,
    ) {
        let used = &mut self.uses[function];
        let mut reach = |offset: i64| {
            if offset < used.lowest {
                (used.lowest, used.at) = (offset, at);
            }
        };
        let base = match instruction.class() {
            code::LDX => instruction.src,
            _ => instruction.dst,
        };
        if matches!(instruction.class(), code::LDX | code::ST | code::STX)
            && let Some(offset) = state.get(base).frame_offset()
        {
            reach(offset.saturating_add(i64::from(instruction.off)));
        }
        for register in liveness.before[at].iter() {
            let value = state.get(register);
            if let Some(offset) = value.frame_offset() {
                reach(offset);
            } else if value.kinds.has(Kinds::STACK) {
                used.unknown = true;
            }
        }
    }

    /// Find room for what the reads of each function keep; return the offset that each function's room ends at.
    ///
    /// Room is below what the function uses. Where pointers go to offsets that are not known, that is at the very
    /// bottom of the stack, as far from them as possible; but frames of functions that call each other share the
    /// stack, so only where there is one.
    pub(super) fn reserve(self, reads: &[Read]) -> Result<Vec<i64>, Fault> {
        let alone = self.uses.len() == 1;
        let room = |(function, Use { lowest, unknown, at }): (usize, &Use)| {
            let slots = reads.iter().filter(|read| read.function == function).map(Read::slots).max().unwrap_or(0);
            let needed = SLOT_BYTES * i64::try_from(slots).unwrap_or(STACK_BYTES);
            let lowest = lowest.div_euclid(SLOT_BYTES) * SLOT_BYTES;
            if needed > 0 && lowest - needed < -STACK_BYTES {
                return Err(Fault { at: *at, what: What::Stack { used: -lowest, needed } });
            }
            Ok(if alone && *unknown { needed - STACK_BYTES } else { lowest })
        };
        self.uses.iter().enumerate().map(room).collect()
    }
}
