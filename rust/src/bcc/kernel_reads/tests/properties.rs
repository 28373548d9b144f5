//! What holds for every program: rewritten it does the same, and no input keeps the rewriting busy or breaks it.

use super::{
    assembler::{assemble, disassemble},
    generator::{Random, program},
    interpreter::{Event, Machine, Stop},
};
use crate::bcc::kernel_reads::{Context, Fault, What, instruction::Instruction, rewrite_code};

const FUEL: usize = 200;
/// What one instruction becomes at most.
const GROWTH: usize = 40;

/// How a program fared.
#[derive(Debug, Default)]
struct Tally {
    ended: usize,
    reads: usize,
    endless: usize,
    full: usize,
}

fn check(seed: u64, tally: &mut Tally) {
    let text = program(seed);
    let before = assemble(&text);
    let rewritten = match rewrite_code(&before, Context::Memory) {
        Ok(rewritten) => rewritten,
        Err(Fault { what: What::Stack { .. }, .. }) => return tally.full += 1,
        Err(fault) => panic!("seed {seed}: {fault:?}\n{text}"),
    };
    let (after, reads) = rewritten.map_or((before.clone(), 0), |rewritten| (rewritten.code, rewritten.reads));
    let (mut old, mut new) = (Machine::new(&before, true), Machine::new(&after, false));
    let (old_end, new_end) = (old.run(FUEL), new.run(FUEL * GROWTH));
    let told = || format!("seed {seed}: {old_end:?}, {new_end:?}\n{text}\n{}", disassemble(&after));
    if old_end == Ok(()) {
        assert_eq!(new_end, Ok(()), "{}", told());
        assert_eq!(old.events, new.events, "{}", told());
        tally.ended += 1;
        tally.reads += reads;
    } else {
        // Up to where it would have been refused, or was stopped.
        assert!(new.events.starts_with(&old.events), "{}", told());
        tally.endless += usize::from(old_end == Err(Stop::TooLong));
    }
}

#[test]
fn rewritten_programs_do_the_same() {
    let mut tally = Tally::default();
    for seed in 0..1500 {
        check(seed, &mut tally);
    }
    // That the programs are worth running.
    assert!(tally.ended > 500 && tally.reads > 2000 && tally.endless > 10 && tally.full > 10, "{tally:?}");
}

#[test]
fn a_machine_tells_right_from_wrong() {
    let run = |text: &str, lenient| {
        let program = assemble(text);
        let mut machine = Machine::new(&program, lenient);
        let end = machine.run(FUEL);
        (end, machine.events)
    };
    let load = "r1 = *(u64 *)(r1 + 8)\nr0 = *(u8 *)(r1 + 1)\nexit";
    assert!(matches!(&run(load, true), (Ok(()), events) if matches!(events[..], [Event::Ended { .. }])));
    assert_eq!(run(load, false).0, Err(Stop::Refused(1, "loads through a number")));
    assert_eq!(run("r0 = r5\nexit", true).0, Err(Stop::Refused(0, "reads a register that nobody has written")));
    assert_eq!(run("again:\ngoto again", true).0, Err(Stop::TooLong));
}

/// Instructions that mean nothing: any code, with distances that often lead somewhere.
fn noise(random: &mut Random) -> Vec<Instruction> {
    let count = 1 + random.below(60);
    let one = |random: &mut Random| {
        let bits = random.next();
        let near = |bits: u64| (bits % 24) as i32 - 12;
        Instruction {
            code: bits as u8,
            dst: (bits >> 8) as u8 % 11,
            src: (bits >> 16) as u8 % if bits >> 60 == 0 { 16 } else { 11 },
            off: if bits >> 62 == 0 { (bits >> 24) as i16 } else { near(bits >> 24) as i16 },
            imm: if bits >> 63 == 0 { (bits >> 32) as i32 % 256 } else { near(bits >> 40) },
        }
    };
    (0..count).map(|_| one(random)).collect()
}

#[test]
fn no_input_breaks_it() {
    let (mut accepted, mut random) = (0, Random::new(7));
    for _ in 0..40_000 {
        let code = noise(&mut random);
        for context in [Context::Memory, Context::Converted, Context::Typed, Context::Cast] {
            accepted += usize::from(rewrite_code(&code, context).is_ok());
        }
    }
    assert!(accepted > 1000, "{accepted}");
}
