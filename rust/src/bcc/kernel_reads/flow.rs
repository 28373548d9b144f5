//! The forward data flow: what every register and stack slot may hold, at the start of every block.
//!
//! One pass over the whole program: a function's arguments are those of all its calls together, its result is that of
//! all its ends. States only ever grow, and cannot grow for ever, so this ends for any input.

use std::collections::BTreeSet;

use super::{
    graph::{Graph, instructions},
    helpers,
    instruction::{self, Instruction},
    state::{Context, State},
    value::{Kinds, Value},
};

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
