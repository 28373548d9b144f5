//! Loads through addresses that the verifier takes for numbers become calls of `bpf_probe_read`.
//!
//! C for bcc dereferences pointers of the kernel as if they were its own: `file->f_path.dentry->d_name.len`. A program
//! for a kprobe must call a helper for each of these steps. Which steps those are is a question of what a pointer
//! is to the verifier, not of how it is spelt. In C it can only be guessed: types say nothing about where a pointer is
//! from, and it may go through macros, casts, structs and functions. bcc infers it from syntax, and what it does not
//! recognise the user has to write by hand. After compilation the question has an exact answer: every dereference is
//! one load instruction, every pointer is in a register, and what the verifier will take it for follows from where it
//! was made: context, frame, map or helper's result. So nothing is rewritten in C. A data flow over the
//! instructions, after the last relocation and before the kernel sees them, finds the loads whose base may be a
//! number; bit fields, arrays within structs, copies of structs and `container_of` need no rule of their own.
//!
//! The path: [`graph`] finds functions and blocks, [`flow`] what registers hold ([`state`], [`value`],
//! [`helpers`]), [`liveness`]
//! what is worth keeping over a call, [`frame`] room for that on the stack, and [`emit`] writes the new program. In
//! doubt a load is replaced: `bpf_probe_read` reads any address, so a pointer taken for a number costs time only.
//! An address that cannot be read gives 0, as with bcc. Stores through numbers are left to the verifier's refusal.
//! Where the verifier knows the kernel's types (fentry), loads stay as they are for as long as it accepts them.
//!
//! Every load is read by itself; neighbours are not read at once, though that would save calls. One read of two members
//! gives zeros for both if either lies on a page that is not there, where two reads give one of them, so it would need
//! the single reads behind it for that case. What was read ahead would have to stay on the stack up to the last of the
//! loads, at the cost of a frame of 512 bytes that is scarce already; and it would be older than the load says, which
//! is wrong wherever the program waits for a change, or has called a helper or stored in between.

mod emit;
mod flow;
mod frame;
mod graph;
mod helpers;
mod instruction;
mod liveness;
mod registers;
mod state;
#[cfg(test)]
mod tests;
mod value;

use aya_obj::{
    Function,
    generated::{bpf_insn, bpf_prog_type},
};
use thiserror::Error;

pub(crate) use self::state::Context;
use self::{emit::Read, flow::Flow, frame::Frames, graph::Graph, instruction::Instruction, liveness::Liveness};

/// Why a program's reads could not be replaced.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum ReadsError {
    #[error("program `{program}`{}: instruction {instruction} {cause}", at_line(*line))]
    Malformed { program: String, line: Option<u32>, instruction: usize, cause: &'static str },
    #[error("program `{program}`{}: a jump is too far, {distance} instructions", at_line(*line))]
    TooFar { program: String, line: Option<u32>, distance: i64 },
    #[error(
        "program `{program}`{}: {used} bytes of stack and {needed} more for reads of kernel memory are more than {}",
        at_line(*line),
        state::STACK_BYTES
    )]
    Stack { program: String, line: Option<u32>, used: i64, needed: i64 },
}

impl ReadsError {
    /// The program that it is about.
    pub(crate) fn program(&self) -> &str {
        match self {
            Self::Malformed { program, .. } | Self::TooFar { program, .. } | Self::Stack { program, .. } => program,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Malformed { .. } => None,
            Self::TooFar { .. } => Some("split the program in two, or unroll its loops less often"),
            Self::Stack { .. } => Some("keep large variables in a per-CPU array instead of on the stack"),
        }
    }
}

fn at_line(line: Option<u32>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

/// What is wrong with an instruction; [`ReadsError`] adds where that is in the source.
#[derive(Debug, PartialEq)]
struct Fault {
    at: usize,
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    Malformed(&'static str),
    TooFar(i64),
    Stack { used: i64, needed: i64 },
}

impl Fault {
    const fn malformed(at: usize, cause: &'static str) -> Self {
        Self { at, what: What::Malformed(cause) }
    }
}

/// How programs of a type see their argument; of several ways, the first that the verifier accepts is right.
///
/// There is none if the loads of such programs are not to be replaced.
pub(crate) fn contexts_of(program_type: bpf_prog_type) -> &'static [Context] {
    match program_type {
        bpf_prog_type::BPF_PROG_TYPE_KPROBE
        | bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT
        | bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT => &[Context::Memory],
        bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT => &[Context::Converted],
        bpf_prog_type::BPF_PROG_TYPE_TRACING | bpf_prog_type::BPF_PROG_TYPE_LSM => &[Context::Typed, Context::Cast],
        _ => &[],
    }
}

/// Replace the loads of a relocated program that the verifier would refuse; return how many there were.
pub(crate) fn rewrite(function: &mut Function, context: Context) -> Result<usize, ReadsError> {
    let code: Vec<Instruction> = function.instructions.iter().map(Instruction::from).collect();
    let rewritten = rewrite_code(&code, context).map_err(|fault| explain(function, fault))?;
    let Some(Rewritten { code, origins, reads }) = rewritten else { return Ok(0) };
    function.instructions = code.into_iter().map(bpf_insn::from).collect();
    let moved = |at: u32| origins.get(at as usize).and_then(|at| u32::try_from(*at).ok()).unwrap_or(at);
    for info in &mut function.func_info.func_info {
        info.insn_off = moved(info.insn_off);
    }
    for info in &mut function.line_info.line_info {
        info.insn_off = moved(info.insn_off);
    }
    Ok(reads)
}

/// A program with its loads replaced.
struct Rewritten {
    code: Vec<Instruction>,
    /// Where each of the old instructions has gone.
    origins: Vec<usize>,
    reads: usize,
}

fn rewrite_code(code: &[Instruction], context: Context) -> Result<Option<Rewritten>, Fault> {
    let graph = Graph::new(code)?;
    let flow = Flow::new(code, &graph, context);
    let liveness = Liveness::new(code, &graph);
    let mut reads = Vec::new();
    let mut frames = Frames::new(&graph);
    flow.visit(|function, at, instruction, state| {
        frames.see(function, at, instruction, state, &liveness);
        if instruction.is_load() && context.must_read(state.get(instruction.src)) {
            reads.push(Read::new(function, at, instruction, state, &liveness));
        }
    });
    if reads.is_empty() {
        return Ok(None);
    }
    reads.sort_unstable_by_key(|read| read.at);
    let count = reads.len();
    let frames = frames.reserve(&reads)?;
    let (code, origins) = emit::emit(code, &graph, &reads, &frames, &liveness)?;
    Ok(Some(Rewritten { code, origins, reads: count }))
}

fn explain(function: &Function, Fault { at, what }: Fault) -> ReadsError {
    let program = function.name.clone();
    let records = &function.line_info.line_info;
    let line = records.iter().rfind(|record| record.insn_off as usize <= at).map(|record| record.line_col >> 10);
    match what {
        What::Malformed(cause) => ReadsError::Malformed { program, line, instruction: at, cause },
        What::TooFar(distance) => ReadsError::TooFar { program, line, distance },
        What::Stack { used, needed } => ReadsError::Stack { program, line, used, needed },
    }
}
