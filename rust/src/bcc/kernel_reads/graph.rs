//! The control flow: functions, their basic blocks, and what follows what.

use std::collections::BTreeSet;

use super::{
    Fault,
    instruction::{FRAME, Flow, Instruction},
};

/// Instructions that are only ever run from first to last.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) last: usize,
    /// The first place after it.
    pub(super) end: usize,
    pub(super) function: usize,
    /// Blocks that may run next; after a call, once it has returned.
    pub(super) successors: Vec<usize>,
    /// The function that its last instruction calls.
    pub(super) callee: Option<usize>,
}

/// A program's blocks; those of a function follow each other, and its first is where it is entered.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) blocks: Vec<Block>,
    /// The first block of every function.
    pub(super) entries: Vec<usize>,
    /// Functions whose address is taken.
    pub(super) callbacks: BTreeSet<usize>,
    starts: Vec<usize>,
}

impl Graph {
    pub(super) fn new(code: &[Instruction]) -> Result<Self, Fault> {
        let seconds = second_halves(code)?;
        let land = |from: usize, distance: i64| -> Result<usize, Fault> {
            let to = target(from, distance).filter(|to| *to < code.len() && !seconds.contains(to));
            to.ok_or(Fault::malformed(from, "goes nowhere"))
        };
        let mut functions = BTreeSet::from([0]);
        let mut taken = BTreeSet::new();
        let mut leaders = BTreeSet::new();
        for (at, instruction) in instructions(code) {
            if instruction.dst > FRAME || instruction.src > FRAME {
                return Err(Fault::malformed(at, "there is no such register"));
            }
            if let Some(distance) = instruction.function_address() {
                taken.insert(land(at, distance)?);
            }
            match instruction.flow() {
                Flow::Next => continue,
                Flow::Exit => {}
                Flow::Call(distance) => _ = functions.insert(land(at, distance)?),
                Flow::Jump(distance) | Flow::Branch(distance) => _ = leaders.insert(land(at, distance)?),
            }
            leaders.insert(at + 1);
        }
        functions.extend(&taken);
        leaders.extend(&functions);
        leaders.remove(&code.len());
        let starts: Vec<usize> = leaders.into_iter().collect();
        let functions: Vec<usize> = functions.into_iter().collect();
        let mut graph = Self { blocks: Vec::new(), entries: Vec::new(), callbacks: BTreeSet::new(), starts };
        graph.entries = functions.iter().filter_map(|start| graph.block_at(*start)).collect();
        graph.callbacks = taken.iter().filter_map(|start| functions.binary_search(start).ok()).collect();
        for (index, start) in graph.starts.iter().copied().enumerate() {
            let end = graph.starts.get(index + 1).copied().unwrap_or(code.len());
            let function = functions.partition_point(|function| *function <= start) - 1;
            let last = if end >= 2 && seconds.contains(&(end - 1)) { end - 2 } else { end - 1 };
            let flow = code[last].flow();
            // Where control would run off the end of a function, the verifier will say so.
            let next = graph.block_at(end).filter(|_| functions.binary_search(&end).is_err());
            let target = match flow {
                Flow::Jump(distance) | Flow::Branch(distance) => graph.block_at(land(last, distance)?),
                _ => None,
            };
            let successors = match flow {
                Flow::Exit => vec![],
                Flow::Jump(_) => vec![target],
                Flow::Branch(_) => vec![target, next],
                Flow::Next | Flow::Call(_) => vec![next],
            };
            let callee = match flow {
                Flow::Call(distance) => functions.binary_search(&land(last, distance)?).ok(),
                _ => None,
            };
            let successors = successors.into_iter().flatten().collect();
            graph.blocks.push(Block { start, last, end, function, successors, callee });
        }
        let leaves =
            |block: &&Block| block.successors.iter().any(|next| graph.blocks[*next].function != block.function);
        match graph.blocks.iter().find(leaves) {
            Some(block) => Err(Fault::malformed(block.last, "jumps into another function")),
            None => Ok(graph),
        }
    }

    /// The block that starts at an instruction.
    fn block_at(&self, instruction: usize) -> Option<usize> {
        self.starts.binary_search(&instruction).ok()
    }

    /// The function that starts at an instruction.
    pub(super) fn function_at(&self, instruction: usize) -> Option<usize> {
        self.entries.iter().position(|entry| self.blocks[*entry].start == instruction)
    }

    /// The blocks that lead to each block, in the same function.
    pub(super) fn predecessors(&self) -> Vec<Vec<usize>> {
        let mut predecessors = vec![Vec::new(); self.blocks.len()];
        for (index, block) in self.blocks.iter().enumerate() {
            for next in &block.successors {
                predecessors[*next].push(index);
            }
        }
        predecessors
    }
}

/// Where a jump or call leads to; distances count from the next instruction.
pub(super) fn target(from: usize, distance: i64) -> Option<usize> {
    from.checked_add(1)?.checked_add_signed(isize::try_from(distance).ok()?)
}

/// Every instruction and where it is, without the second halves of constants.
pub(super) fn instructions(code: &[Instruction]) -> impl Iterator<Item = (usize, Instruction)> {
    let mut skip = false;
    code.iter().copied().enumerate().filter(move |(_, instruction)| {
        let second = skip;
        skip = !second && instruction.is_wide();
        !second
    })
}

fn second_halves(code: &[Instruction]) -> Result<BTreeSet<usize>, Fault> {
    if code.is_empty() {
        return Err(Fault::malformed(0, "has no instructions"));
    }
    let halves: BTreeSet<usize> =
        instructions(code).filter(|(_, instruction)| instruction.is_wide()).map(|(at, _)| at + 1).collect();
    match halves.last() {
        Some(last) if *last == code.len() => Err(Fault::malformed(last - 1, "is half a constant")),
        _ => Ok(halves),
    }
}
