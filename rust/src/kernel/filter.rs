//! Filters: from `dev == 254 and (bytes >= 4096 or comm == "dd")` to what a fixed eBPF program can evaluate.
//!
//! A program that is compiled once cannot follow any expression, but it can go through a table: at most
//! [`MAX_ALTERNATIVES`] alternatives of at most [`MAX_CONDITIONS`] conditions, each one comparison. Every expression
//! is brought into that form (negation is moved into the comparisons, `and` distributed over `or`) or refused with
//! the column that is one too many.

use pyo3::{IntoPyObjectExt, exceptions::PyValueError, prelude::*, types::PyBytes, types::PyDict};
use thiserror::Error;

use super::format::{Field, Format, Kind};

/// Alternatives of which one must hold.
pub(crate) const MAX_ALTERNATIVES: usize = 4;
/// Conditions in one alternative, which must all hold.
pub(crate) const MAX_CONDITIONS: usize = 8;
/// Bytes of text in one condition; what the kernel calls `TASK_COMM_LEN`.
pub(crate) const MAX_TEXT: usize = 16;
/// Brackets and negations within each other.
const MAX_DEPTH: usize = 32;
/// The start of a record that the kernel keeps for itself (`tp_prog_is_valid_access` in `kernel/trace/bpf_trace.c`).
const HIDDEN: usize = 8;

/// Why an expression is no filter; columns are counted in characters, from 1.
#[derive(Clone, Debug, Error, PartialEq)]
pub(crate) enum FilterError {
    #[error("column {column}: expected {expected}, not {found}")]
    Expected { column: usize, expected: &'static str, found: String },
    #[error("column {column}: `{text}` is not a number of 64 bits")]
    Number { column: usize, text: String },
    #[error("column {column}: the text never ends")]
    Unterminated { column: usize },
    #[error("column {column}: no field `{name}`{}", near_misses(near))]
    NoField { column: usize, name: String, near: Vec<String> },
    #[error("column {column}: `{name}` cannot be filtered on: {reason}")]
    Unusable { column: usize, name: String, reason: &'static str },
    #[error("column {column}: `{name}` is {kind}; compare it with {kind}")]
    Mismatch { column: usize, name: String, kind: &'static str },
    #[error("column {column}: `{operator}` does not work on {kind} like `{name}`")]
    Operator { column: usize, operator: &'static str, name: String, kind: &'static str },
    #[error("column {column}: {value} does not fit `{name}`, which goes from {least} to {most}")]
    Range { column: usize, value: i128, name: String, least: i128, most: i128 },
    #[error("column {column}: text of {bytes} bytes does not fit `{name}`; {room} do")]
    TooLong { column: usize, name: String, bytes: usize, room: usize },
    #[error("column {column}: of patterns, only a `*` at the end is supported")]
    Pattern { column: usize },
    #[error("column {column}: more than {MAX_ALTERNATIVES} alternatives, once every `or` is on the outside")]
    Alternatives { column: usize },
    #[error("column {column}: more than {MAX_CONDITIONS} conditions in one alternative")]
    Conditions { column: usize },
    #[error("column {column}: more than {MAX_DEPTH} brackets and negations within each other")]
    Depth { column: usize },
}

fn near_misses(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) }
}

/// Alternatives of which one must hold; each is conditions which must all hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    pub(crate) alternatives: Vec<Vec<Condition>>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) operand: Operand,
    pub(crate) test: Test,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// Bytes of a number, room for text.
    pub(crate) size: usize,
    pub(crate) signed: bool,
    text: bool,
}

/// Where it is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// In the record, at this offset.
    Record(usize),
    /// Where the `u32` at this offset says: see [`Kind::Dynamic`].
    Located { offset: usize, relative: bool },
    /// The process that the event happened in.
    Pid,
    /// The thread.
    Tid,
    /// The processor.
    Cpu,
    /// The name of the thread.
    Comm,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// The number, extended to 64 bits by its sign or by zeros, compares so with this one.
    Number(Comparison, u64),
    /// The text up to its first NUL compares so with this one.
    Text(TextComparison, Vec<u8>),
}

/// How numbers compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// At least one of these bits is set.
    AnyBit,
    /// None of these bits is set.
    NoBit,
}

/// How texts compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TextComparison {
    Equal,
    NotEqual,
    Starts,
    NotStarts,
}

/// What is known of an event besides its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header<'a> {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) cpu: u32,
    pub(crate) comm: &'a [u8],
}

impl Filter {
    /// Read an expression on the fields of a tracepoint.
    pub(crate) fn parse(expression: &str, format: &Format) -> Result<Self, FilterError> {
        let words = words(expression)?;
        let mut parser = Parser { words: &words, position: 0, depth: 0, format };
        let alternatives = parser.either(false)?;
        parser.expect("`and`, `or` or the end", |word| *word == Word::End)?;
        Ok(Self { alternatives })
    }

    /// Whether an event passes: the meaning of a filter, for programs in the kernel to agree with.
    pub(crate) fn matches(&self, record: &[u8], header: &Header<'_>) -> bool {
        self.alternatives.iter().any(|conditions| conditions.iter().all(|condition| condition.holds(record, header)))
    }
}

impl Condition {
    /// Whether it holds; no condition holds on what the record is too short for.
    fn holds(&self, record: &[u8], header: &Header<'_>) -> bool {
        let size = self.operand.size;
        match &self.test {
            Test::Number(comparison, value) => {
                let number = match self.operand.place {
                    Place::Pid => Some(header.pid.into()),
                    Place::Tid => Some(header.tid.into()),
                    Place::Cpu => Some(header.cpu.into()),
                    Place::Record(offset) => number_at(record, offset, size, self.operand.signed),
                    Place::Located { .. } | Place::Comm => None,
                };
                number.is_some_and(|number| comparison.holds(number, *value, self.operand.signed))
            }
            Test::Text(comparison, value) => {
                let bytes = match self.operand.place {
                    Place::Comm => Some(header.comm),
                    Place::Record(offset) => record.get(offset..offset + size),
                    Place::Located { offset, relative } => located(record, offset, relative),
                    Place::Pid | Place::Tid | Place::Cpu => None,
                };
                let text = bytes.and_then(|bytes| bytes.split(|byte| *byte == 0).next());
                text.is_some_and(|text| match comparison {
                    TextComparison::Equal => text == value,
                    TextComparison::NotEqual => text != value,
                    TextComparison::Starts => text.starts_with(value),
                    TextComparison::NotStarts => !text.starts_with(value),
                })
            }
        }
    }

    fn negated(mut self) -> Self {
        match &mut self.test {
            Test::Number(comparison, _) => *comparison = comparison.negated(),
            Test::Text(comparison, _) => {
                *comparison = match comparison {
                    TextComparison::Equal => TextComparison::NotEqual,
                    TextComparison::NotEqual => TextComparison::Equal,
                    TextComparison::Starts => TextComparison::NotStarts,
                    TextComparison::NotStarts => TextComparison::Starts,
                }
            }
        }
        self
    }
}

fn number_at(record: &[u8], offset: usize, size: usize, signed: bool) -> Option<u64> {
    let bytes = record.get(offset..offset.checked_add(size)?)?;
    Some(match (bytes, signed) {
        ([byte], false) => (*byte).into(),
        ([byte], true) => i64::from(byte.cast_signed()).cast_unsigned(),
        (_, false) if size == 2 => u16::from_ne_bytes(bytes.try_into().ok()?).into(),
        (_, true) if size == 2 => i64::from(i16::from_ne_bytes(bytes.try_into().ok()?)).cast_unsigned(),
        (_, false) if size == 4 => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
        (_, true) if size == 4 => i64::from(i32::from_ne_bytes(bytes.try_into().ok()?)).cast_unsigned(),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

/// Return the bytes of a dynamic field.
fn located(record: &[u8], offset: usize, relative: bool) -> Option<&[u8]> {
    let word = usize::try_from(number_at(record, offset, 4, false)?).ok()?;
    let start = (word & 0xffff) + if relative { offset + 4 } else { 0 };
    record.get(start..start + (word >> 16))
}

impl Comparison {
    fn holds(self, left: u64, right: u64, signed: bool) -> bool {
        let order = if signed { left.cast_signed().cmp(&right.cast_signed()) } else { left.cmp(&right) };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::AnyBit => left & right != 0,
            Self::NoBit => left & right == 0,
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::AnyBit => Self::NoBit,
            Self::NoBit => Self::AnyBit,
        }
    }
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
enum Word {
    Name(String),
    Number(i128),
    Text(String),
    Operator(&'static str),
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

impl Word {
    fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Number(number) => format!("`{number}`"),
            Self::Text(_) => "a text".into(),
            Self::Operator(operator) => format!("`{operator}`"),
            Self::And => "`and`".into(),
            Self::Or => "`or`".into(),
            Self::Not => "`not`".into(),
            Self::Open => "`(`".into(),
            Self::Close => "`)`".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Divide into words, each with its column; the last is always [`Word::End`].
fn words(text: &str) -> Result<Vec<(usize, Word)>, FilterError> {
    const SIGNS: [(&str, Word); 13] = [
        ("&&", Word::And),
        ("||", Word::Or),
        ("==", Word::Operator("==")),
        ("!=", Word::Operator("!=")),
        ("<=", Word::Operator("<=")),
        (">=", Word::Operator(">=")),
        ("<", Word::Operator("<")),
        (">", Word::Operator(">")),
        ("&", Word::Operator("&")),
        ("~", Word::Operator("~")),
        ("!", Word::Not),
        ("(", Word::Open),
        (")", Word::Close),
    ];
    let mut words = Vec::new();
    let (mut rest, mut column) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (word, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if let Some((sign, word)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (Some(word.clone()), sign.len())
        } else if let '"' | '\'' = first {
            let end = rest[1..].find(first).ok_or(FilterError::Unterminated { column })?;
            (Some(Word::Text(rest[1..=end].to_owned())), end + 2)
        } else {
            let letters = rest.strip_prefix('-').unwrap_or(rest);
            let length = letters.find(|letter: char| !(letter == '_' || letter.is_ascii_alphanumeric()));
            let length = length.unwrap_or(letters.len()) + rest.len() - letters.len();
            (Some(name_or_number(&rest[..length], first, column)?), length)
        };
        words.extend(word.map(|word| (column, word)));
        column += rest[..length].chars().count();
        rest = &rest[length..];
    }
    words.push((column, Word::End));
    Ok(words)
}

fn name_or_number(word: &str, first: char, column: usize) -> Result<Word, FilterError> {
    match (word, first) {
        ("and", _) => return Ok(Word::And),
        ("or", _) => return Ok(Word::Or),
        ("not", _) => return Ok(Word::Not),
        (_, '_' | 'a'..='z' | 'A'..='Z') => return Ok(Word::Name(word.to_owned())),
        (_, '-' | '0'..='9') => {}
        _ => return Err(FilterError::Expected { column, expected: "a word or sign", found: format!("`{first}`") }),
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        // C and Python disagree about what 010 is.
        [b'0', _, ..] => (0, digits),
        _ => (10, digits),
    };
    let number = (base != 0).then(|| u64::from_str_radix(digits, base).ok()).flatten().map(i128::from);
    let number = number.map(|number| if first == '-' { -number } else { number });
    let number = number.filter(|number| *number >= i64::MIN.into());
    number.map(Word::Number).ok_or_else(|| FilterError::Number { column, text: word.to_owned() })
}

struct Parser<'a> {
    words: &'a [(usize, Word)],
    position: usize,
    depth: usize,
    format: &'a Format,
}

type Alternatives = Vec<Vec<Condition>>;

impl<'a> Parser<'a> {
    fn peek(&self) -> (usize, &'a Word) {
        // The last word is the end, and nothing goes past it.
        self.words.get(self.position).map_or((0, &Word::End), |(column, word)| (*column, word))
    }

    fn take(&mut self) -> (usize, &'a Word) {
        let word = self.peek();
        self.position += 1;
        word
    }

    fn expect(&mut self, expected: &'static str, wanted: impl Fn(&Word) -> bool) -> Result<&'a Word, FilterError> {
        let (column, word) = self.take();
        if wanted(word) { Ok(word) } else { Err(FilterError::Expected { column, expected, found: word.describe() }) }
    }

    /// Operands of `or`; with `negated`, of what is to be negated.
    fn either(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let mut left = self.both(negated)?;
        while let (column, Word::Or) = self.peek() {
            self.position += 1;
            let right = self.both(negated)?;
            left = if negated { all(&left, &right, column)? } else { any(left, right, column)? };
        }
        Ok(left)
    }

    /// Operands of `and`.
    fn both(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let mut left = self.one(negated)?;
        while let (column, Word::And) = self.peek() {
            self.position += 1;
            let right = self.one(negated)?;
            left = if negated { any(left, right, column)? } else { all(&left, &right, column)? };
        }
        Ok(left)
    }

    fn one(&mut self, negated: bool) -> Result<Alternatives, FilterError> {
        let (column, word) = self.take();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::Depth { column });
        }
        let found = match word {
            Word::Not => self.one(!negated)?,
            Word::Open => {
                let inner = self.either(negated)?;
                self.expect("`and`, `or` or `)`", |word| *word == Word::Close)?;
                inner
            }
            Word::Name(name) => {
                let condition = self.condition(name, column)?;
                vec![vec![if negated { condition.negated() } else { condition }]]
            }
            _ => {
                let expected = "the name of a field, `not` or `(`";
                return Err(FilterError::Expected { column, expected, found: word.describe() });
            }
        };
        self.depth -= 1;
        Ok(found)
    }

    fn condition(&mut self, name: &str, column: usize) -> Result<Condition, FilterError> {
        let operand = operand(self.format, name, column)?;
        let (operator_column, word) = self.take();
        let &Word::Operator(operator) = word else {
            let expected = "`==`, `!=`, `<`, `<=`, `>`, `>=`, `&` or `~`";
            return Err(FilterError::Expected { column: operator_column, expected, found: word.describe() });
        };
        let (column, word) = self.take();
        let name = || operand.name.clone();
        let kind = if operand.text { "text" } else { "a number" };
        let test = match (word, operand.text) {
            (Word::Number(value), false) => number_test(&operand, operator, *value, column)
                .ok_or_else(|| FilterError::Operator { column: operator_column, operator, name: name(), kind })??,
            (Word::Text(value), true) => text_test(&operand, operator, value, column)
                .ok_or_else(|| FilterError::Operator { column: operator_column, operator, name: name(), kind })??,
            (Word::Number(_) | Word::Text(_), _) => {
                return Err(FilterError::Mismatch { column, name: name(), kind });
            }
            _ => {
                return Err(FilterError::Expected { column, expected: "a number or text", found: word.describe() });
            }
        };
        Ok(Condition { operand, test })
    }
}

/// Find what a name stands for: a field of the record, or else something that is known of every event.
fn operand(format: &Format, name: &str, column: usize) -> Result<Operand, FilterError> {
    let number = |place| Operand { name: name.to_owned(), place, size: 4, signed: false, text: false };
    match (format.field(name), name) {
        // The same number, from where programs may read it.
        (Some(_), "common_pid") | (None, "tid") => Ok(number(Place::Tid)),
        (Some(field), _) => field_operand(field).map_err(|reason| {
            let name = name.to_owned();
            FilterError::Unusable { column, name, reason }
        }),
        (None, "pid") => Ok(number(Place::Pid)),
        (None, "cpu") => Ok(number(Place::Cpu)),
        (None, "comm") => {
            let name = name.to_owned();
            Ok(Operand { name, place: Place::Comm, size: MAX_TEXT, signed: false, text: true })
        }
        (None, _) => Err(FilterError::NoField { column, name: name.to_owned(), near: similar(format, name) }),
    }
}

fn field_operand(field: &Field) -> Result<Operand, &'static str> {
    let text = match field.kind {
        _ if field.common && field.offset < HIDDEN => return Err("the kernel hides it from programs"),
        Kind::Integer | Kind::Bool | Kind::Pointer | Kind::Enum => false,
        Kind::Text | Kind::Dynamic { text: true, count: 1, .. } => true,
        Kind::Array { .. } | Kind::Dynamic { .. } => return Err("it has many values"),
        Kind::Opaque => return Err("its bytes have no known meaning"),
    };
    let (place, size) = match field.kind {
        Kind::Dynamic { relative, .. } => (Place::Located { offset: field.offset, relative }, MAX_TEXT),
        _ => (Place::Record(field.offset), field.size),
    };
    Ok(Operand { name: field.name.clone(), place, size, signed: field.signed && !text, text })
}

/// `None` if numbers have no such operator.
fn number_test(operand: &Operand, operator: &str, value: i128, column: usize) -> Option<Result<Test, FilterError>> {
    let comparison = match operator {
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "&" => Comparison::AnyBit,
        _ => return None,
    };
    let whole = 1_i128 << (operand.size * 8);
    let (least, mut most) = if operand.signed { (-whole / 2, whole / 2 - 1) } else { (0, whole - 1) };
    if comparison == Comparison::AnyBit {
        // Bits have no sign: 0x80000000 is one of an int, too.
        most = whole - 1;
    }
    if !(least..=most).contains(&value) {
        return Some(Err(FilterError::Range { column, value, name: operand.name.clone(), least, most }));
    }
    // Of a negative number, the bits that the field has.
    let bits = if comparison == Comparison::AnyBit { value & (whole - 1) } else { value & i128::from(u64::MAX) };
    u64::try_from(bits).ok().map(|bits| Ok(Test::Number(comparison, bits)))
}

/// `None` if text has no such operator.
fn text_test(operand: &Operand, operator: &str, value: &str, column: usize) -> Option<Result<Test, FilterError>> {
    let (comparison, value) = match (operator, value.strip_suffix('*')) {
        ("==", _) | ("~", None) => (TextComparison::Equal, value),
        ("!=", _) => (TextComparison::NotEqual, value),
        ("~", Some(start)) => (TextComparison::Starts, start),
        _ => return None,
    };
    if operator == "~" && value.contains(['*', '?', '[', '\\']) {
        return Some(Err(FilterError::Pattern { column }));
    }
    if value.contains('\0') {
        return Some(Err(FilterError::Expected { column, expected: "text", found: "a NUL in it".into() }));
    }
    let exact = comparison != TextComparison::Starts;
    let room = match operand.place {
        // That a text ends must show within the bytes that are compared.
        Place::Located { .. } if exact => MAX_TEXT - 1,
        Place::Record(_) if exact && operand.size > MAX_TEXT => MAX_TEXT - 1,
        _ => operand.size.min(MAX_TEXT),
    };
    if value.len() > room {
        let name = operand.name.clone();
        return Some(Err(FilterError::TooLong { column, name, bytes: value.len(), room }));
    }
    Some(Ok(Test::Text(comparison, value.as_bytes().to_vec())))
}

fn any(mut left: Alternatives, right: Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    left.extend(right);
    simplify(left, column)
}

fn all(left: &Alternatives, right: &Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| one.iter().chain(other)));
    let joined = pairs.map(|conditions| {
        conditions.fold(Vec::new(), |mut kept: Vec<Condition>, condition| {
            if !kept.contains(condition) {
                kept.push(condition.clone());
            }
            kept
        })
    });
    simplify(joined.collect(), column)
}

/// Leave out alternatives that another one makes superfluous, and see that the rest fit.
fn simplify(alternatives: Alternatives, column: usize) -> Result<Alternatives, FilterError> {
    let mut kept: Alternatives = Vec::new();
    let within = |one: &[Condition], other: &[Condition]| one.iter().all(|condition| other.contains(condition));
    for alternative in alternatives {
        if kept.iter().any(|other| within(other, &alternative)) {
            continue;
        }
        kept.retain(|other| !within(&alternative, other));
        kept.push(alternative);
    }
    if kept.len() > MAX_ALTERNATIVES {
        return Err(FilterError::Alternatives { column });
    }
    if kept.iter().any(|conditions| conditions.len() > MAX_CONDITIONS) {
        return Err(FilterError::Conditions { column });
    }
    Ok(kept)
}

/// Return the names that differ least from `name`.
fn similar(format: &Format, name: &str) -> Vec<String> {
    let known = format.fields.iter().map(|field| field.name.as_str()).chain(["pid", "tid", "cpu", "comm"]);
    let mut near: Vec<_> = known.map(|known| (distance(known, name), known)).collect();
    near.retain(|(distance, known)| *distance <= known.len().max(name.len()) / 3);
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// How many letters were left out, added, mistaken or swapped; of long words, only the start counts.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let (left, right) = (&left[..left.len().min(64)], &right[..right.len().min(64)]);
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (line, one) in left.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = rows[line][column] + usize::from(one != other);
            let mut least = replaced.min(rows[line][column + 1] + 1).min(row[column] + 1);
            if line > 0 && column > 0 && (one, other) == (&right[column - 1], &left[line - 1]) {
                least = least.min(rows[line - 1][column - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

fn parse(expression: &str, format_text: &str) -> PyResult<Filter> {
    let format = Format::parse(format_text);
    let format = format.map_err(|error| PyValueError::new_err(format!("parse format: {error}")))?;
    let filter = Filter::parse(expression, &format);
    filter.map_err(|error| PyValueError::new_err(format!("parse filter `{expression}`: {error}")))
}

/// Bring a filter into the form that programs in the kernel evaluate.
///
/// An expression is such as ``dev == 254 and (bytes >= 4096 or comm == "dd")``. Names are the fields of the record
/// or, where it has no such field, ``pid``, ``tid``, ``cpu`` and ``comm``; ``&`` tests bits, ``~`` takes a ``*`` at
/// the end. The answer is a list of alternatives of which one must hold, each a list of conditions (dicts) which
/// must all hold. Raises :class:`ValueError` with column and cause if it is no filter on these fields.
#[pyfunction]
pub(crate) fn parse_filter<'py>(
    py: Python<'py>,
    expression: &str,
    format_text: &str,
) -> PyResult<Vec<Vec<Bound<'py, PyDict>>>> {
    let filter = parse(expression, format_text)?;
    let alternative = |conditions: &Vec<Condition>| conditions.iter().map(|one| condition_dict(py, one)).collect();
    filter.alternatives.iter().map(alternative).collect()
}

/// Whether a record passes a filter: what programs in the kernel must agree with.
///
/// The record is bytes; no condition holds on what it is too short for. The keywords are what is known of the event
/// besides. Raises :class:`ValueError` as :func:`parse_filter` does.
#[pyfunction]
#[pyo3(signature = (expression, format_text, record, *, pid = 0, tid = 0, cpu = 0, comm = b"" as &[u8]))]
pub(crate) fn filter_matches(
    expression: &str,
    format_text: &str,
    record: &[u8],
    pid: u32,
    tid: u32,
    cpu: u32,
    comm: &[u8],
) -> PyResult<bool> {
    Ok(parse(expression, format_text)?.matches(record, &Header { pid, tid, cpu, comm }))
}

fn condition_dict<'py>(py: Python<'py>, condition: &Condition) -> PyResult<Bound<'py, PyDict>> {
    let Condition { operand, test } = condition;
    let dict = PyDict::new(py);
    dict.set_item("field", &operand.name)?;
    let (place, offset, relative) = match operand.place {
        Place::Record(offset) => ("record", Some(offset), false),
        Place::Located { offset, relative } => ("located", Some(offset), relative),
        Place::Pid => ("pid", None, false),
        Place::Tid => ("tid", None, false),
        Place::Cpu => ("cpu", None, false),
        Place::Comm => ("comm", None, false),
    };
    dict.set_item("place", place)?;
    dict.set_item("offset", offset)?;
    dict.set_item("relative", relative)?;
    dict.set_item("size", operand.size)?;
    dict.set_item("signed", operand.signed)?;
    let (operator, value) = match test {
        Test::Number(comparison, value) => {
            let operator = match comparison {
                Comparison::Equal => "==",
                Comparison::NotEqual => "!=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
                Comparison::AnyBit => "&",
                Comparison::NoBit => "!&",
            };
            let bits = matches!(comparison, Comparison::AnyBit | Comparison::NoBit);
            let signed = operand.signed && !bits;
            (operator, if signed { value.cast_signed().into_py_any(py)? } else { value.into_py_any(py)? })
        }
        Test::Text(comparison, value) => {
            let operator = match comparison {
                TextComparison::Equal => "==",
                TextComparison::NotEqual => "!=",
                TextComparison::Starts => "~",
                TextComparison::NotStarts => "!~",
            };
            (operator, PyBytes::new(py, value).into_py_any(py)?)
        }
    };
    dict.set_item("operator", operator)?;
    dict.set_item("value", value)?;
    Ok(dict)
}

#[cfg(test)]
mod tests;
