//! Instructions as text, and back: the notation of `llvm-objdump`, with labels in and distances out.

use std::collections::HashMap;

use crate::bcc::kernel_reads::instruction::{Instruction, code};

const OPERATORS: [(&str, u8); 13] = [
    ("+=", 0x00),
    ("-=", 0x10),
    ("*=", 0x20),
    ("/=", 0x30),
    ("|=", 0x40),
    ("&=", 0x50),
    ("<<=", 0x60),
    (">>=", 0x70),
    ("%=", 0x90),
    ("^=", 0xa0),
    ("=", 0xb0),
    ("s>>=", 0xc0),
    ("neg", 0x80),
];
const CONDITIONS: [(&str, u8); 11] = [
    ("==", 0x10),
    (">", 0x20),
    (">=", 0x30),
    ("&", 0x40),
    ("!=", 0x50),
    ("s>", 0x60),
    ("s>=", 0x70),
    ("<", 0xa0),
    ("<=", 0xb0),
    ("s<", 0xc0),
    ("s<=", 0xd0),
];
const SIZES: [(&str, u8); 7] = [
    ("u8", code::MEM | code::B),
    ("u16", code::MEM | code::H),
    ("u32", code::MEM | code::W),
    ("u64", code::MEM | code::DW),
    ("s8", code::MEMSX | code::B),
    ("s16", code::MEMSX | code::H),
    ("s32", code::MEMSX | code::W),
];
/// What a 64-bit constant can stand for beside a number, by the source register.
const WIDE: [(&str, u8); 5] = [("number", 0), ("map", 1), ("value", 2), ("ksym", 3), ("function", 4)];

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> T {
    table.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("what is `{name}`?")).1
}

fn name_of(table: &[(&'static str, u8)], value: u8) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("?", |(name, _)| name)
}

/// A register and whether only its lower half is meant.
fn register(word: &str) -> Option<(u8, bool)> {
    let number = word.strip_prefix(['r', 'w'])?.parse().ok()?;
    Some((number, word.starts_with('w')))
}

fn number(word: &str) -> i64 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is not a number"))
}

/// Assemble a program, one instruction on a line; `name:` is a label, `#` begins a remark.
pub(super) fn assemble(text: &str) -> Vec<Instruction> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut labels = HashMap::new();
    let mut parsed = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(label) = line.strip_suffix(':') {
            labels.insert(label, parsed.len());
            continue;
        }
        let (instruction, label) = one(line);
        parsed.push((instruction, label));
        if instruction.is_wide() {
            let high = if instruction.src == 0 { (wide_number(line) >> 32) as i32 } else { 0 };
            parsed.push((Instruction { imm: high, ..Instruction::default() }, None));
        }
    }
    let resolve = |(at, (mut instruction, label)): (usize, (Instruction, Option<&str>))| {
        if let Some(label) = label {
            let distance = match label.strip_prefix('+') {
                Some(distance) => number(distance),
                None if label.starts_with('-') => number(label),
                None => labels.get(label).map_or_else(|| panic!("no label `{label}`"), |to| *to as i64) - at as i64 - 1,
            };
            if instruction.is_short_jump() {
                instruction.off = i16::try_from(distance).expect("near");
            } else {
                instruction.imm = i32::try_from(distance).expect("near");
            }
        }
        instruction
    };
    parsed.into_iter().enumerate().map(resolve).collect()
}

fn wide_number(line: &str) -> i64 {
    number(line.trim_end_matches(" ll").rsplit(' ').next().unwrap_or_default())
}

/// `*(u64 *)(r1 + 8)`: size with mode, register, offset.
fn memory(text: &str) -> (u8, u8, i16) {
    let inner = text.trim_start_matches("*(").replace(" *)(", " ").replace(')', "");
    let words: Vec<&str> = inner.split(' ').collect();
    let [size, base, sign, offset] = words[..] else { panic!("`{text}` is no memory") };
    let offset = number(offset) * if sign == "-" { -1 } else { 1 };
    (named(&SIZES, size), register(base).expect("a register").0, i16::try_from(offset).expect("near"))
}

fn one(line: &str) -> (Instruction, Option<&str>) {
    let words: Vec<&str> = line.split(' ').collect();
    let plain = |code| Instruction { code, ..Instruction::default() };
    match words[..] {
        ["exit"] => (plain(code::JMP | code::EXIT), None),
        ["goto", label] => (plain(code::JMP | code::JA), Some(label)),
        ["gotol", label] => (plain(code::JMP32 | code::JA), Some(label)),
        ["may_goto", label] => (plain(code::JMP | code::MAY_GOTO), Some(label)),
        ["call", to] if to.starts_with(|first: char| first.is_ascii_digit()) => {
            (Instruction { imm: number(to) as i32, ..plain(code::JMP | code::CALL) }, None)
        }
        ["call", label] => (Instruction { src: code::PSEUDO_CALL, ..plain(code::JMP | code::CALL) }, Some(label)),
        ["if", left, condition, right, "goto", label] => {
            let (dst, narrow) = register(left).expect("a register");
            let class = if narrow { code::JMP32 } else { code::JMP };
            let code = class | named(&CONDITIONS, condition);
            (with_operand(code, dst, right), Some(label))
        }
        [dst, "=", "function", label, "ll"] => {
            let dst = register(dst).expect("a register").0;
            (Instruction { dst, src: code::PSEUDO_FUNC, ..plain(code::LD | code::DW) }, Some(label))
        }
        [dst, "=", what, value, "ll"] => {
            let (dst, src) = (register(dst).expect("a register").0, named(&WIDE, what));
            (Instruction { dst, src, imm: number(value) as i32, ..plain(code::LD | code::DW) }, None)
        }
        _ => (moves(line, &words), None),
    }
}

fn moves(line: &str, words: &[&str]) -> Instruction {
    if let Some((left, right)) = line.split_once(" = ").filter(|(left, _)| left.starts_with('*')) {
        let (size, dst, off) = memory(left);
        return match register(right) {
            Some((src, _)) => Instruction { code: code::STX | size, dst, src, off, imm: 0 },
            None => Instruction { code: code::ST | size, dst, src: 0, off, imm: number(right) as i32 },
        };
    }
    if let Some((left, right)) = line.strip_prefix("lock ").and_then(|rest| rest.split_once(" += ")) {
        let (size, dst, off) = memory(left);
        let size = size & 0x18;
        return Instruction {
            code: code::STX | code::ATOMIC | size,
            dst,
            src: register(right).expect("a register").0,
            off,
            imm: 0,
        };
    }
    let (dst, narrow) = register(words[0]).unwrap_or_else(|| panic!("what is `{line}`?"));
    if words[2].starts_with('*') {
        let (size, src, off) = memory(&words[2..].join(" "));
        return Instruction { code: code::LDX | size, dst, src, off, imm: 0 };
    }
    let class = if narrow { code::ALU } else { code::ALU64 };
    with_operand(class | named(&OPERATORS, words[1]), dst, words[2])
}

fn with_operand(code: u8, dst: u8, operand: &str) -> Instruction {
    match register(operand) {
        Some((src, _)) => Instruction { code: code | code::X, dst, src, off: 0, imm: 0 },
        None => Instruction { code, dst, src: 0, off: 0, imm: number(operand) as i32 },
    }
}

/// Write a program as text that [`assemble`] understands.
pub(super) fn disassemble(program: &[Instruction]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(instruction) = program.get(at) {
        text += &line_of(*instruction, program.get(at + 1));
        text += "\n";
        at += if instruction.is_wide() { 2 } else { 1 };
    }
    text
}

fn line_of(instruction: Instruction, second: Option<&Instruction>) -> String {
    let Instruction { code, dst, src, off, imm } = instruction;
    let letter = |narrow| if narrow { 'w' } else { 'r' };
    let place = |register, size| {
        let (sign, distance) = if off < 0 { ('-', -i32::from(off)) } else { ('+', i32::from(off)) };
        format!("*({} *)(r{register} {sign} {distance})", name_of(&SIZES, size))
    };
    let class = instruction.class();
    let narrow = matches!(class, code::ALU | code::JMP32);
    let operand = if instruction.has_source() { format!("{}{src}", letter(narrow)) } else { imm.to_string() };
    match class {
        code::LD if instruction.is_wide() => {
            let high = second.map_or(0, |second| i64::from(second.imm));
            let number = if src == 0 { high << 32 | i64::from(imm as u32) } else { i64::from(imm) };
            let sign = if src == code::PSEUDO_FUNC && imm >= 0 { "+" } else { "" };
            format!("r{dst} = {} {sign}{number} ll", name_of(&WIDE, src))
        }
        code::LDX => format!("r{dst} = {}", place(src, code & 0xf8)),
        code::STX if instruction.is_atomic() => format!("lock {} += r{src}", place(dst, code & 0x18 | code::MEM)),
        code::STX => format!("{} = r{src}", place(dst, code & 0xf8)),
        code::ST => format!("{} = {imm}", place(dst, code & 0xf8)),
        code::ALU | code::ALU64 => {
            format!("{}{dst} {} {operand}", letter(narrow), name_of(&OPERATORS, instruction.operation()))
        }
        _ => match instruction.operation() {
            code::EXIT => "exit".to_owned(),
            code::CALL if src == code::PSEUDO_CALL => format!("call {imm:+}"),
            code::CALL => format!("call {imm}"),
            code::JA if !instruction.is_short_jump() => format!("gotol {imm:+}"),
            code::JA => format!("goto {off:+}"),
            code::MAY_GOTO => format!("may_goto {off:+}"),
            condition => {
                format!("if {}{dst} {} {operand} goto {off:+}", letter(narrow), name_of(&CONDITIONS, condition))
            }
        },
    }
}

#[test]
fn text_and_instructions_are_the_same() {
    let text = "\
r1 = *(u64 *)(r10 - 8)
r2 = *(s8 *)(r1 + 3)
*(u16 *)(r2 + 0) = -5
*(u32 *)(r2 + 4) = r7
lock *(u64 *)(r2 + 8) += r7
r3 = number 81985529216486895 ll
r3 = map 7 ll
r3 = function +9 ll
r1 += -4
w1 = w2
r1 s>>= 63
if r1 == 0 goto +1
if w1 s< w2 goto -3
goto +0
gotol -70000
may_goto +1
call 14
call +2
call -20
exit
";
    assert_eq!(disassemble(&assemble(text)), text);
}
