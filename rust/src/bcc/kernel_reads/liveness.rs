//! The backward data flow: which registers still matter after each instruction.

use std::collections::BTreeSet;

use super::{
    graph::{Graph, instructions},
    helpers,
    instruction::Instruction,
    registers::Registers,
};

/// For every instruction, the registers that are read before they are written, from there on.
pub(super) struct Liveness {
    pub(super) before: Vec<Registers>,
    pub(super) after: Vec<Registers>,
}

impl Liveness {
    pub(super) fn new(code: &[Instruction], graph: &Graph) -> Self {
        let predecessors = graph.predecessors();
        let mut callers = vec![Vec::new(); graph.entries.len()];
        for (index, block) in graph.blocks.iter().enumerate() {
            if let Some(callee) = block.callee {
                callers[callee].push(index);
            }
        }
        let mut before = vec![Registers::NONE; code.len()];
        let mut after = vec![Registers::NONE; code.len()];
        let mut at_start = vec![Registers::NONE; graph.blocks.len()];
        let mut waiting: BTreeSet<usize> = (0..graph.blocks.len()).collect();
        while let Some(index) = waiting.pop_last() {
            let block = &graph.blocks[index];
            let mut live = block.successors.iter().fold(Registers::NONE, |live, next| live | at_start[*next]);
            let inside: Vec<_> = instructions(&code[block.start..block.end]).collect();
            for (at, instruction) in inside.into_iter().rev() {
                let at = block.start + at;
                after[at] = live;
                let uses = match block.callee {
                    // What the callee reads of its arguments.
                    Some(callee) if at == block.last => at_start[graph.entries[callee]] & Registers::ARGUMENTS,
                    _ if instruction.is_call() => Registers::arguments(call_arguments(instruction)),
                    _ => instruction.uses(),
                };
                live = (live - instruction.defines()) | uses;
                before[at] = live;
            }
            if live != at_start[index] {
                at_start[index] = live;
                waiting.extend(&predecessors[index]);
                if graph.entries[block.function] == index {
                    waiting.extend(&callers[block.function]);
                }
            }
        }
        Self { before, after }
    }
}

fn call_arguments(call: Instruction) -> u8 {
    match call.helper() {
        Some(helper) => helpers::arguments(helper),
        None => 5,
    }
}
