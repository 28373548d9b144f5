//! Where a USDT probe's arguments are, in the words of the assembler: `-4@%edi`, `8@16(%rax,%rcx,8)`, `4@[sp, 12]`.

use object::elf;

/// One argument of a probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    /// 1, 2, 4 or 8.
    pub(crate) bytes: u8,
    pub(crate) is_signed: bool,
    pub(crate) is_float: bool,
    pub(crate) operand: Operand,
    /// The words.
    pub(crate) text: String,
}

/// Where an argument's value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Constant(i64),
    Register(Register),
    Memory(Memory),
    /// Where no program can read it, such as a vector register; or words that nobody knows.
    Unreadable,
}

/// A register as the kernel saves it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Register {
    /// Its place in `struct pt_regs`: `di`, `regs[3]`, or `0` for one that always is.
    pub(crate) field: String,
    /// How far up its bits are: 8 for `%ah`.
    pub(crate) shift: u8,
    pub(crate) bits: u8,
}

/// An address: base + index * scale + displacement + symbol.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) base: Option<Register>,
    pub(crate) index: Option<Index>,
    pub(crate) displacement: i64,
    /// A name of the same file, wherever that has been loaded.
    pub(crate) symbol: Option<String>,
}

/// The part of an address that is multiplied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Index {
    pub(crate) register: Register,
    pub(crate) scale: u8,
    pub(crate) is_signed: bool,
}

/// Read the arguments of a probe in a file for `machine`.
pub(crate) fn parse(text: &str, machine: u16) -> Vec<Argument> {
    split(text).into_iter().map(|word| argument(word, machine)).collect()
}

/// Split at blanks, but not within brackets or parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut words, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

fn argument(text: &str, machine: u16) -> Argument {
    // Without a size it is as wide as a register.
    let (size, place) = text.split_once('@').unwrap_or(("-8", text));
    let (size, is_float) = size.strip_suffix('f').map_or((size, false), |size| (size, true));
    let known = size.parse::<i8>().ok().filter(|size| matches!(size.unsigned_abs(), 1 | 2 | 4 | 8));
    let operand = match machine {
        elf::EM_X86_64 | elf::EM_386 => x86(place),
        elf::EM_AARCH64 => arm64(place),
        _ => None,
    };
    let operand = operand.filter(|_| known.is_some()).unwrap_or(Operand::Unreadable);
    let size = known.unwrap_or(8);
    Argument { bytes: size.unsigned_abs(), is_signed: size < 0, is_float, operand, text: text.to_owned() }
}

/// Read a number as assemblers write it; those of more than 63 bits are negative.
fn number(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    // `parse` would take another sign.
    if !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?,
        None => digits.parse::<u64>().ok()?,
    };
    let value = value.cast_signed();
    Some(if is_negative { value.wrapping_neg() } else { value })
}

/// Read a sum of numbers and at most one name: `-8`, `counters+16`, `8+counters`.
fn sum(text: &str) -> Option<(i64, Option<String>)> {
    let (mut total, mut symbol, mut rest) = (0_i64, None, text);
    while !rest.is_empty() {
        let mut signs = rest.char_indices().skip(1).filter(|(_, letter)| matches!(letter, '+' | '-'));
        let end = signs.next().map_or(rest.len(), |(at, _)| at);
        let term = rest.get(..end)?;
        rest = &rest[end..];
        if let Some(value) = number(term) {
            total = total.wrapping_add(value);
            continue;
        }
        let name = term.strip_prefix('+').unwrap_or(term);
        let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || matches!(letter, '_' | '.'))
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '$'));
        if !is_name || symbol.is_some() {
            return None;
        }
        symbol = Some(name.to_owned());
    }
    Some((total, symbol))
}

fn x86(place: &str) -> Option<Operand> {
    if let Some(value) = place.strip_prefix('$') {
        return number(value).map(Operand::Constant);
    }
    let Some((before, inside)) = place.split_once('(') else {
        if place.starts_with('%') {
            return x86_register(place).map(Operand::Register);
        }
        let (displacement, symbol) = sum(place)?;
        return (!place.is_empty()).then(|| Operand::Memory(Memory { displacement, symbol, ..Memory::default() }));
    };
    let (displacement, symbol) = if before.is_empty() { (0, None) } else { sum(before)? };
    let parts: Vec<&str> = inside.strip_suffix(')')?.split(',').map(str::trim).collect();
    if parts == ["%rip"] {
        // A number would count from an instruction that is not there.
        return symbol
            .map(|symbol| Operand::Memory(Memory { displacement, symbol: Some(symbol), ..Memory::default() }));
    }
    let base = match parts.first()? {
        &"" => None,
        base => Some(x86_register(base)?),
    };
    let index = match parts.get(1) {
        None => None,
        Some(index) => {
            let scale = parts.get(2).map_or(Some(1), |scale| scale.parse().ok())?;
            let register = x86_register(index)?;
            matches!(scale, 1 | 2 | 4 | 8).then_some(Some(Index { register, scale, is_signed: false }))?
        }
    };
    if parts.len() > 3 || base.is_none() && index.is_none() {
        return None;
    }
    Some(Operand::Memory(Memory { base, index, displacement, symbol }))
}

fn x86_register(text: &str) -> Option<Register> {
    let name = text.strip_prefix('%')?;
    let register = |field: &str, shift, bits| Some(Register { field: field.to_owned(), shift, bits });
    // r8 to r15, with d, w or b behind them.
    if let Some(rest) = name.strip_prefix('r').filter(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit())) {
        let (digits, bits) = match rest.strip_suffix(['d', 'w', 'b']) {
            Some(digits) => (
                digits,
                if rest.ends_with('d') {
                    32
                } else if rest.ends_with('w') {
                    16
                } else {
                    8
                },
            ),
            None => (rest, 64),
        };
        let is_known = matches!(digits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15");
        return is_known.then(|| register(&format!("r{digits}"), 0, bits))?;
    }
    for field in ["ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip"] {
        match name.strip_suffix(field) {
            Some("r") => return register(field, 0, 64),
            Some("e") => return register(field, 0, 32),
            Some("") => return register(field, 0, 16),
            _ => {}
        }
        let letter = &field[..1];
        let low = if field.ends_with('x') { format!("{letter}l") } else { format!("{field}l") };
        if name == low && field != "ip" {
            return register(field, 0, 8);
        }
        if field.ends_with('x') && name == format!("{letter}h") {
            return register(field, 8, 8);
        }
    }
    None
}

fn arm64(place: &str) -> Option<Operand> {
    let Some(inside) = place.strip_prefix('[') else {
        let value = place.strip_prefix('#').unwrap_or(place);
        return number(value).map(Operand::Constant).or_else(|| arm64_register(place).map(Operand::Register));
    };
    let parts: Vec<&str> = inside.strip_suffix(']')?.split(',').map(str::trim).collect();
    let base = Some(arm64_register(parts.first()?)?);
    let mut memory = Memory { base, ..Memory::default() };
    match *parts.get(1..)? {
        [] => {}
        [offset] if number(offset.strip_prefix('#').unwrap_or(offset)).is_some() => {
            memory.displacement = number(offset.strip_prefix('#').unwrap_or(offset))?;
        }
        [index] => memory.index = Some(Index { register: arm64_register(index)?, scale: 1, is_signed: false }),
        [index, extension] => {
            let mut words = extension.split_ascii_whitespace();
            let is_signed = match words.next()? {
                "lsl" | "uxtw" | "uxtx" => false,
                "sxtw" | "sxtx" => true,
                _ => return None,
            };
            let shift = words.next().map_or(Some(0), |shift| shift.trim_start_matches('#').parse::<u32>().ok())?;
            let scale = (shift <= 4).then(|| 1 << shift)?;
            memory.index = Some(Index { register: arm64_register(index)?, scale, is_signed });
        }
        _ => return None,
    }
    Some(Operand::Memory(memory))
}

fn arm64_register(name: &str) -> Option<Register> {
    let register = |field: &str, bits| Some(Register { field: field.to_owned(), shift: 0, bits });
    match name {
        "sp" => return register("sp", 64),
        "wsp" => return register("sp", 32),
        "xzr" => return register("0", 64),
        "wzr" => return register("0", 32),
        "lr" => return register("regs[30]", 64),
        "fp" => return register("regs[29]", 64),
        _ => {}
    }
    let bits = match name.get(..1)? {
        "x" => 64,
        "w" => 32,
        _ => return None,
    };
    let digits = &name[1..];
    let number = digits.parse().ok().filter(|number: &u8| *number <= 30 && number.to_string() == digits)?;
    register(&format!("regs[{number}]"), bits)
}

#[cfg(test)]
mod tests {
    use object::elf::{EM_AARCH64, EM_RISCV, EM_X86_64};

    use super::{Operand, parse};

    /// A short form of what has been understood.
    fn shown(text: &str, machine: u16) -> Vec<String> {
        let show = |argument: super::Argument| {
            let sign = if argument.is_signed { "i" } else { "u" };
            let kind = if argument.is_float { "f" } else { sign };
            let register = |register: &super::Register| {
                let super::Register { field, shift, bits } = register;
                if *shift == 0 { format!("{field}:{bits}") } else { format!("{field}:{bits}>>{shift}") }
            };
            let place = match &argument.operand {
                Operand::Constant(value) => format!("{value}"),
                Operand::Register(of) => register(of),
                Operand::Memory(memory) => {
                    let base = memory.base.as_ref().map(register);
                    let index = memory.index.as_ref().map(|index| {
                        let sign = if index.is_signed { "signed " } else { "" };
                        format!("{sign}{}*{}", register(&index.register), index.scale)
                    });
                    let terms = [base, index, memory.symbol.clone(), Some(memory.displacement.to_string())];
                    format!("[{}]", terms.into_iter().flatten().collect::<Vec<_>>().join(" + "))
                }
                Operand::Unreadable => "?".into(),
            };
            format!("{kind}{} {place}", u32::from(argument.bytes) * 8)
        };
        parse(text, machine).into_iter().map(show).collect()
    }

    #[test]
    fn x86_64() {
        for (text, meaning) in [
            ("-4@$42", "i32 42"),
            ("8@$-1", "u64 -1"),
            ("-8@$0x10", "i64 16"),
            ("8@$18446744073709551615", "u64 -1"),
            ("8@%rax", "u64 ax:64"),
            ("-4@%edi", "i32 di:32"),
            ("2@%cx", "u16 cx:16"),
            ("-1@%sil", "i8 si:8"),
            ("1@%al", "u8 ax:8"),
            ("1@%ah", "u8 ax:8>>8"),
            ("1@%bpl", "u8 bp:8"),
            ("8@%r8", "u64 r8:64"),
            ("4@%r15d", "u32 r15:32"),
            ("2@%r10w", "u16 r10:16"),
            ("1@%r9b", "u8 r9:8"),
            ("8@%rip", "u64 ip:64"),
            ("8@(%rdi)", "u64 [di:64 + 0]"),
            ("-4@-20(%rbp)", "i32 [bp:64 + -20]"),
            ("8@0x8(%rsp)", "u64 [sp:64 + 8]"),
            ("-8@(%rsi,%rdx,8)", "i64 [si:64 + dx:64*8 + 0]"),
            ("-2@16(%rcx,%rdx)", "i16 [cx:64 + dx:64*1 + 16]"),
            ("4@8(,%rax,4)", "u32 [ax:64*4 + 8]"),
            ("8@sym(%rip)", "u64 [sym + 0]"),
            ("4@counters+16(%rip)", "u32 [counters + 16]"),
            ("4@-8+counters(%rip)", "u32 [counters + -8]"),
            ("4@-16+8(%rsp)", "u32 [sp:64 + -8]"),
            ("4@counter", "u32 [counter + 0]"),
            ("4@table(,%rax,4)", "u32 [ax:64*4 + table + 0]"),
            ("8f@%xmm0", "f64 ?"),
            ("8f@(%rax)", "f64 [ax:64 + 0]"),
            ("8@%fs:16", "u64 ?"),
            ("8@%fs:(%rax)", "u64 ?"),
            ("8@16(%rip)", "u64 ?"),
            ("16@%rax", "u64 ?"),
            ("3@%rax", "u64 ?"),
            ("x@%rax", "u64 ?"),
            ("8@%r16", "u64 ?"),
            ("8@%ipl", "u64 ?"),
            ("8@", "u64 ?"),
            ("8@()", "u64 ?"),
            ("8@(%rax,%rbx,3)", "u64 ?"),
            ("8@(%rax,%rbx,4,1)", "u64 ?"),
            ("8@(%rax", "u64 ?"),
            ("8@$", "u64 ?"),
            ("8@$+-1", "u64 ?"),
            ("%rdi", "i64 di:64"),
        ] {
            assert_eq!(shown(text, EM_X86_64), [meaning], "{text}");
        }
        assert_eq!(shown(" -4@%edi  8@(%rsi, %rdx, 8) ", EM_X86_64), ["i32 di:32", "u64 [si:64 + dx:64*8 + 0]"]);
        assert!(shown("", EM_X86_64).is_empty());
    }

    #[test]
    fn aarch64() {
        for (text, meaning) in [
            ("-4@42", "i32 42"),
            ("-4@-1", "i32 -1"),
            ("8@#0x10", "u64 16"),
            ("8@x0", "u64 regs[0]:64"),
            ("-4@w30", "i32 regs[30]:32"),
            ("8@sp", "u64 sp:64"),
            ("4@wzr", "u32 0:32"),
            ("4@[sp, 12]", "u32 [sp:64 + 12]"),
            ("8@[x19]", "u64 [regs[19]:64 + 0]"),
            ("-8@[x29, #-16]", "i64 [regs[29]:64 + -16]"),
            ("8@[x0, x1]", "u64 [regs[0]:64 + regs[1]:64*1 + 0]"),
            ("8@[x0, x1, lsl 3]", "u64 [regs[0]:64 + regs[1]:64*8 + 0]"),
            ("4@[x0, w1, sxtw 2]", "u32 [regs[0]:64 + signed regs[1]:32*4 + 0]"),
            ("4@[x0, w1, uxtw #2]", "u32 [regs[0]:64 + regs[1]:32*4 + 0]"),
            ("8@x31", "u64 ?"),
            ("8@x01", "u64 ?"),
            ("8@d0", "u64 ?"),
            ("8@[x0, x1, ror 3]", "u64 ?"),
            ("8@[x0, x1, lsl 9]", "u64 ?"),
            ("8@[x0", "u64 ?"),
            ("8@[]", "u64 ?"),
            ("8@", "u64 ?"),
            ("8@é", "u64 ?"),
        ] {
            assert_eq!(shown(text, EM_AARCH64), [meaning], "{text}");
        }
        assert_eq!(shown("-4@[sp, 60] 8@x1", EM_AARCH64), ["i32 [sp:64 + 60]", "u64 regs[1]:64"]);
        assert_eq!(shown("8@a0", EM_RISCV), ["u64 ?"]);
    }

    #[test]
    fn whatever_stands_there_is_no_panic() {
        let pieces = ["-", "8", "@", "$", "%", "rax", "(", ")", "[", "]", ",", "+", "x", "é", " ", "sym", "0x", "f"];
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[usize::try_from(seed >> 33).unwrap() % pieces.len()]);
            }
            parse(&text, EM_X86_64);
            parse(&text, EM_AARCH64);
        }
    }
}
