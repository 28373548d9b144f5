//! What a C expression in a print format comes to: a constant, or bits of one field.
//!
//! The kernel prints flags and enumerators as its headers wrote them, `(( gfp_t)((((1UL))) << (3)))`, so constants
//! have C's types here: `~0U` is not `~0UL`. Whatever else C can say (calls, conditions, names whose
//! value nobody knows) comes to nothing.

use std::ops::Range;

use super::token::{Token, Tokens};

/// Brackets and signs within each other; the kernel's own reach about 25.
const MAX_DEPTH: usize = 64;

/// An integer of one of C's types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Constant {
    /// Within the range of its type.
    pub(super) value: i128,
    kind: Integer,
}

/// C's integer types, as far as arithmetic is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Integer {
    bits: u32,
    signed: bool,
}

/// What a value is converted to.
enum Cast {
    To(Integer),
    /// A type whose range is not known: the value is taken to fit.
    Unknown,
}

const INT: Integer = Integer { bits: 32, signed: true };

/// Bits of a field: `(field >> shift) & mask`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference<'a> {
    pub(super) field: &'a str,
    pub(super) shift: u32,
    pub(super) mask: Option<u64>,
}

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Constant(Constant),
    Reference(Reference<'a>),
}

/// Work out the expression that the words of `range` are; `None` if it is more than constants and one field.
pub(super) fn evaluate<'a>(tokens: &Tokens<'a>, range: Range<usize>) -> Option<Value<'a>> {
    let mut parser = Parser { tokens, position: range.start, end: range.end, depth: 0 };
    let value = parser.binary(0)?;
    (parser.position == parser.end).then_some(value)
}

/// Work out a constant; `None` if the expression is anything else.
pub(super) fn constant(tokens: &Tokens<'_>, range: Range<usize>) -> Option<i128> {
    match evaluate(tokens, range)? {
        Value::Constant(constant) => Some(constant.value),
        Value::Reference(_) => None,
    }
}

impl Integer {
    fn named(words: &[&str]) -> Option<Self> {
        let integer = |bits, signed| Some(Self { bits, signed });
        match words {
            [word] => match *word {
                "u8" | "__u8" | "uint8_t" => return integer(8, false),
                "s8" | "__s8" | "int8_t" => return integer(8, true),
                "u16" | "__u16" | "uint16_t" => return integer(16, false),
                "s16" | "__s16" | "int16_t" => return integer(16, true),
                "u32" | "__u32" | "uint32_t" | "gfp_t" | "dev_t" | "uint" => return integer(32, false),
                "s32" | "__s32" | "int32_t" => return integer(32, true),
                "u64" | "__u64" | "uint64_t" | "size_t" | "ulong" | "sector_t" => return integer(64, false),
                "s64" | "__s64" | "int64_t" | "ssize_t" | "loff_t" => return integer(64, true),
                _ => {}
            },
            [] => return None,
            _ => {}
        }
        if !words.iter().all(|word| matches!(*word, "unsigned" | "signed" | "char" | "short" | "int" | "long")) {
            return None;
        }
        let bits = match () {
            () if words.contains(&"char") => 8,
            () if words.contains(&"short") => 16,
            () if words.contains(&"long") => 64,
            () => 32,
        };
        integer(bits, !words.contains(&"unsigned"))
    }

    /// Bring a value into the type's range, as a conversion does.
    fn wrap(self, value: i128) -> Constant {
        let cut = value & ((1 << self.bits) - 1);
        let value = if self.signed && cut >> (self.bits - 1) != 0 { cut - (1 << self.bits) } else { cut };
        Constant { value, kind: self }
    }

    /// The type that C computes in, for operands of these two.
    fn common(self, other: Self) -> Self {
        let [one, two] = [self, other].map(|kind| if kind.bits < 32 { INT } else { kind });
        match one.bits.cmp(&two.bits) {
            std::cmp::Ordering::Greater => one,
            std::cmp::Ordering::Less => two,
            std::cmp::Ordering::Equal => Self { bits: one.bits, signed: one.signed && two.signed },
        }
    }
}

struct Parser<'t, 'a> {
    tokens: &'t Tokens<'a>,
    position: usize,
    end: usize,
    depth: usize,
}

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        if self.position < self.end { self.tokens.get(self.position) } else { None }
    }

    /// Operands joined by operators that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Option<Value<'a>> {
        let mut left = self.unary()?;
        while let Some(Token::Sign(sign)) = self.peek() {
            let (sign, binding) = match *sign {
                "|" => (*sign, 1),
                "^" => (*sign, 2),
                "&" => (*sign, 3),
                "<<" | ">>" => (*sign, 4),
                "+" | "-" => (*sign, 5),
                "*" | "/" | "%" => (*sign, 6),
                _ => return Some(left),
            };
            if binding < least {
                return Some(left);
            }
            self.position += 1;
            let right = self.binary(binding + 1)?;
            left = combine(left, sign, right)?;
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Value<'a>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = self.operand();
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Option<Value<'a>> {
        let token = self.peek()?.clone();
        let start = self.position;
        self.position += 1;
        match token {
            Token::Number(number) => literal(number).map(Value::Constant),
            Token::Character(byte) => Some(Value::Constant(INT.wrap(byte.into()))),
            Token::Sign("(") => {
                let close = self.tokens.partner(start).filter(|close| *close < self.end)?;
                if let Some(cast) = self.cast(start, close) {
                    self.position = close + 1;
                    return Some(convert(self.unary()?, cast));
                }
                let end = std::mem::replace(&mut self.end, close);
                let value = self.binary(0);
                let complete = self.position == close;
                self.end = end;
                self.position = close + 1;
                value.filter(|_| complete)
            }
            Token::Sign(sign @ ("-" | "+" | "~" | "!")) => {
                let Value::Constant(operand) = self.unary()? else { return None };
                let kind = operand.kind.common(INT);
                Some(Value::Constant(match sign {
                    "-" => kind.wrap(-operand.value),
                    "~" => kind.wrap(!operand.value),
                    "!" => INT.wrap((operand.value == 0).into()),
                    _ => kind.wrap(operand.value),
                }))
            }
            Token::Word("true") => Some(Value::Constant(INT.wrap(1))),
            Token::Word("false") => Some(Value::Constant(INT.wrap(0))),
            Token::Word("REC") if self.tokens.is_sign(self.position, "->") => {
                let Some(Token::Word(field)) = self.tokens.get(self.position + 1) else { return None };
                self.position += 2;
                // A part of the field is not the field.
                let part = self.position < self.end
                    && [".", "[", "->", "("].iter().any(|sign| self.tokens.is_sign(self.position, sign));
                (!part).then_some(Value::Reference(Reference { field, shift: 0, mask: None }))
            }
            Token::Word(word) => self.tokens.enumerator(word).map(|value| Value::Constant(enumerator(value))),
            _ => None,
        }
    }

    /// Return the type if these brackets hold its name and something to be converted follows.
    fn cast(&self, open: usize, close: usize) -> Option<Cast> {
        let mut words = Vec::new();
        let mut pointer = false;
        for position in open + 1..close {
            match self.tokens.get(position)? {
                Token::Word("REC") => return None,
                Token::Word("const" | "volatile" | "__force") => {}
                Token::Word(word) => words.push(*word),
                Token::Sign("*") => pointer = true,
                _ => return None,
            }
        }
        let kind = if pointer { Some(Integer { bits: 64, signed: false }) } else { Integer::named(&words) };
        let follows = match self.tokens.get(close + 1).filter(|_| close + 1 < self.end)? {
            // `(x) - 1` is a difference unless x is a type.
            Token::Sign("-" | "+") => kind.is_some(),
            Token::Sign(sign) => matches!(*sign, "(" | "~" | "!"),
            Token::Word(_) | Token::Number(_) | Token::Character(_) => true,
            Token::Text(_) => false,
        };
        (follows && !words.is_empty()).then(|| kind.map_or(Cast::Unknown, Cast::To))
    }
}

/// The type of an enumerator: int, where that holds it.
fn enumerator(value: i128) -> Constant {
    let kinds = [INT, Integer { bits: 64, signed: true }, Integer { bits: 64, signed: false }];
    let kind = kinds.into_iter().find(|kind| kind.wrap(value).value == value);
    kind.unwrap_or(kinds[2]).wrap(value)
}

fn convert(value: Value<'_>, cast: Cast) -> Value<'_> {
    match (value, cast) {
        (Value::Constant(constant), Cast::To(kind)) => Value::Constant(kind.wrap(constant.value)),
        (Value::Reference(reference), Cast::To(kind)) if kind.bits < 32 => {
            let bits = (1 << kind.bits) - 1;
            Value::Reference(Reference { mask: Some(reference.mask.unwrap_or(u64::MAX) & bits), ..reference })
        }
        (value, _) => value,
    }
}

fn combine<'a>(left: Value<'a>, sign: &str, right: Value<'a>) -> Option<Value<'a>> {
    match (left, sign, right) {
        (Value::Constant(left), sign, Value::Constant(right)) => compute(left, sign, right).map(Value::Constant),
        (Value::Reference(reference), "&", Value::Constant(constant))
        | (Value::Constant(constant), "&", Value::Reference(reference)) => {
            let mask = Integer { bits: 64, signed: false }.wrap(constant.value).value;
            let mask = reference.mask.unwrap_or(u64::MAX) & u64::try_from(mask).ok()?;
            Some(Value::Reference(Reference { mask: Some(mask), ..reference }))
        }
        (Value::Reference(reference), ">>", Value::Constant(constant)) => {
            let by = u32::try_from(constant.value).ok()?;
            let shift = reference.shift.checked_add(by).filter(|shift| *shift < u64::BITS)?;
            Some(Value::Reference(Reference { shift, mask: reference.mask.map(|mask| mask >> by), ..reference }))
        }
        _ => None,
    }
}

fn compute(left: Constant, sign: &str, right: Constant) -> Option<Constant> {
    let kind = left.kind.common(right.kind);
    if let "<<" | ">>" = sign {
        // A shift has the type of its left side alone.
        let kind = left.kind.common(INT);
        let by = u32::try_from(right.value).ok().filter(|by| *by < kind.bits)?;
        return Some(kind.wrap(if sign == "<<" { left.value << by } else { left.value >> by }));
    }
    let (left, right) = (kind.wrap(left.value).value, kind.wrap(right.value).value);
    Some(kind.wrap(match sign {
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "+" => left + right,
        "-" => left - right,
        // Two 64-bit numbers may come to one bit more than an i128 holds.
        "*" => left.wrapping_mul(right),
        "/" => left.checked_div(right)?,
        "%" => left.checked_rem(right)?,
        _ => return None,
    }))
}

/// Read a number with C's bases, suffixes, and rule for its type: the first that holds it.
fn literal(text: &str) -> Option<Constant> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = text[digits.len()..].to_ascii_lowercase();
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    let value = i128::from(u64::from_str_radix(digits, base).ok()?);
    let fits = |kind: &&Integer| {
        (kind.bits == 64 || !suffix.contains('l'))
            && !(kind.signed && suffix.contains('u'))
            && (kind.signed || base != 10 || suffix.contains('u'))
            && kind.wrap(value).value == value
    };
    let unsigned = |bits| Integer { bits, signed: false };
    let kinds = [INT, unsigned(32), Integer { bits: 64, signed: true }, unsigned(64)];
    let kind = kinds.iter().find(fits).copied().unwrap_or(unsigned(64));
    Some(kind.wrap(value))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Reference, Tokens, Value, constant, evaluate};

    fn number(text: &str) -> Option<i128> {
        let known = [("FEW", 3), ("MANY", 1 << 40), ("LESS", -1)].map(|(name, value)| (name.to_owned(), value));
        let known = HashMap::from(known);
        let tokens = Tokens::new(text, &known);
        constant(&tokens, 0..tokens.len())
    }

    #[test]
    fn constants_are_what_a_c_compiler_makes_of_them() {
        for (text, value) in [
            ("0x10 | 010 + 1", Some(0x10 | 9)),
            ("(1ULL << 3)", Some(8)),
            ("1 << 31", Some(-0x8000_0000)),
            ("1U << 31", Some(0x8000_0000)),
            ("~0U", Some(0xffff_ffff)),
            ("~0UL", Some(0xffff_ffff_ffff_ffff)),
            ("(u32)-1", Some(0xffff_ffff)),
            ("-1 & 0xffu", Some(255)),
            ("( unsigned long)(((( gfp_t)((((1UL))) << (6))) | (( gfp_t)0)) & ~(( gfp_t)2))", Some(64)),
            ("(struct foo *)0 ", Some(0)),
            ("'A' - 1", Some(64)),
            ("(8 - 1)", Some(7)),
            ("0xffffffffffffffffUL * 0xffffffffffffffffUL", Some(1)),
            ("1 / 0", None),
            ("1 << 64", None),
            ("sizeof(int)", None),
            ("IOPRIO_CLASS_RT", None),
            ("(FOO) - 1", None),
            ("FEW", Some(3)),
            ("(FEW) - 1", Some(2)),
            ("1 << (FEW)", Some(8)),
            ("(u8)LESS | MANY", Some((1 << 40) | 255)),
            ("FEW(1)", None),
            ("1 ? 2 : 3", None),
            ("0x", None),
            ("1 2", None),
            ("", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
        assert_eq!(number(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000))), None);
        assert_eq!(number(&format!("{}1", "~".repeat(5000))), None);
    }

    #[test]
    fn references_keep_shift_and_mask() {
        for (text, expected) in [
            ("REC->a", Some((0, None))),
            ("((unsigned int) ((REC->a) >> 20))", Some((20, None))),
            ("((unsigned int) ((REC->a) & ((1U << 20) - 1)))", Some((0, Some(0xf_ffff)))),
            ("(((REC->a) & 0xf00) >> 8) & 3", Some((8, Some(3)))),
            ("(u8)REC->a", Some((0, Some(0xff)))),
            ("REC->a[1]", None),
            ("REC->a + 1", None),
            ("REC->a & REC->b", None),
            ("REC->a >> 64", None),
        ] {
            let none = HashMap::new();
            let tokens = Tokens::new(text, &none);
            let expected = expected.map(|(shift, mask)| Value::Reference(Reference { field: "a", shift, mask }));
            assert_eq!(evaluate(&tokens, 0..tokens.len()), expected, "{text}");
        }
    }
}
