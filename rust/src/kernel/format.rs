//! A tracepoint's `format` file: where each field lies in its records, and how the kernel would print them.
//!
//! Offsets and sizes are what the file says, never what a type's name suggests: the file is written by the very
//! kernel that writes the records. Only where it leaves something open (how long the elements of an array are whose
//! length is the name of a constant) does the type's name decide.
//!
//! Format: `f_show` in `kernel/trace/trace_events.c`.

mod declaration;
mod expression;
mod print;
mod token;

use std::{
    collections::{HashMap, HashSet},
    num::IntErrorKind,
};

use pyo3::{exceptions::PyValueError, prelude::*, types::PyDict};
use thiserror::Error;

use self::declaration::{Declaration, Extent};
pub(crate) use self::print::{Hint, PrintFormat, Table};
use crate::layout::{self, Layout};

/// Bytes a record can have: dynamic fields are found through 16-bit offsets (kernel/trace/trace.h, `__data_loc`).
const MAX_RECORD: usize = 1 << 16;

/// Why a text is not a tracepoint's format; lines are counted from 1.
#[derive(Clone, Debug, Error, PartialEq)]
pub(crate) enum FormatError {
    #[error("line {line}: truncated, no `{missing}` so far")]
    Truncated { line: usize, missing: &'static str },
    #[error("line {line}: `{text}` is not part of a format")]
    Line { line: usize, text: String },
    #[error("line {line}: a second `{what}`")]
    Repeated { line: usize, what: &'static str },
    #[error("line {line}: no name in `{what}`")]
    Name { line: usize, what: String },
    #[error("line {line}: field without `{what}`")]
    Missing { line: usize, what: &'static str },
    #[error("line {line}: `{what}` is `{text}`, not a number")]
    Number { line: usize, what: &'static str, text: String },
    #[error("line {line}: `{what}` is `{text}`, out of range")]
    Range { line: usize, what: &'static str, text: String },
    #[error("line {line}: field `{field}` ends at byte {end}; records have at most {MAX_RECORD}")]
    Size { line: usize, field: String, end: usize },
}

/// What a tracepoint's records look like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    pub(crate) name: String,
    /// By which perf knows the tracepoint.
    pub(crate) id: u64,
    /// In the file's order, the common ones first.
    pub(crate) fields: Vec<Field>,
    pub(crate) print: PrintFormat,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// No other field's name: if the kernel repeats one, `_2` and so on is appended.
    pub(crate) name: String,
    /// As the file has it.
    pub(crate) kernel_name: String,
    /// As written, without the name.
    pub(crate) c_type: String,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    /// Of the elements, for arrays.
    pub(crate) signed: bool,
    pub(crate) kind: Kind,
    /// Whether every tracepoint has it.
    pub(crate) common: bool,
}

/// What a field's bytes are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A number of 1, 2, 4 or 8 bytes.
    Integer,
    /// One byte, 0 or 1.
    Bool,
    /// An address.
    Pointer,
    /// An integer that stands for an enumerator.
    Enum,
    /// Characters, ended by a NUL unless they fill the field.
    Text,
    /// Integers; none if they follow the record in a number that only its length tells.
    Array { element_size: usize, count: usize },
    /// Where in the record something of variable length lies: its offset in the lower 16 bits, its length in bytes
    /// in the upper ones. `count` such places, usually one; `element_size` is 0 where it is not known.
    Dynamic {
        /// Whether offsets count from the end of the field instead of the start of the record.
        relative: bool,
        /// Whether it is text ended by a NUL.
        text: bool,
        element_size: usize,
        count: usize,
    },
    /// Bytes that mean nothing to rtrace: structs, and numbers that no machine has.
    Opaque,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Bool => "bool",
            Self::Pointer => "pointer",
            Self::Enum => "enum",
            Self::Text => "text",
            Self::Array { .. } => "array",
            Self::Dynamic { .. } => "dynamic",
            Self::Opaque => "opaque",
        }
    }
}

impl Format {
    /// Read the text of a `format` file.
    pub(crate) fn parse(text: &str) -> Result<Self, FormatError> {
        Self::parse_with(text, &HashMap::new())
    }

    /// Read the text of a `format` file; these enumerators stand for numbers in it.
    pub(crate) fn parse_with(text: &str, enumerators: &HashMap<String, i128>) -> Result<Self, FormatError> {
        let (mut name, mut id, mut fields) = (None, None, None::<Vec<Field>>);
        let mut names = Names::default();
        let mut at = 0;
        let mut count = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            count = number;
            let start = at;
            at += line.len();
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if let Some(rest) = line.strip_prefix("name:") {
                once(&mut name, rest.trim().to_owned(), number, "name:")?;
            } else if let Some(rest) = line.strip_prefix("ID:") {
                once(&mut id, parse_number(rest, number, "ID:")?, number, "ID:")?;
            } else if line == "format:" {
                once(&mut fields, Vec::new(), number, "format:")?;
            } else if let Some(rest) = line.strip_prefix("field:").or_else(|| line.strip_prefix("field special:")) {
                let fields = fields.as_mut().ok_or(FormatError::Truncated { line: number, missing: "format:" })?;
                fields.push(parse_field(rest, number, &mut names)?);
            } else if line.starts_with("print fmt:") {
                let missing = |missing| FormatError::Truncated { line: number, missing };
                let fields = fields.ok_or(missing("format:"))?;
                if fields.is_empty() {
                    return Err(missing("field:"));
                }
                // The last one, and not always one line: ext4's have line breaks in their strings.
                let rest =
                    text.get(start..).and_then(|rest| rest.split_once("print fmt:")).map_or("", |(_, rest)| rest);
                let print = PrintFormat::parse(rest, &fields, enumerators);
                return Ok(Self { name: name.ok_or(missing("name:"))?, id: id.ok_or(missing("ID:"))?, fields, print });
            } else {
                return Err(FormatError::Line { line: number, text: excerpt(line) });
            }
        }
        let missing = match (&name, &id, &fields) {
            (None, ..) => "name:",
            (_, None, _) => "ID:",
            (.., None) => "format:",
            (.., Some(fields)) if fields.is_empty() => "field:",
            _ => "print fmt:",
        };
        Err(FormatError::Truncated { line: count.max(1), missing })
    }

    /// Return the field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Return how many bytes of a record have a fixed place: to the end of the field that ends last.
    ///
    /// What is dynamic comes behind, and the kernel fills up to a multiple of 8: records are longer.
    pub(crate) fn size(&self) -> usize {
        self.fields.iter().map(|field| field.offset + field.size).max().unwrap_or(0)
    }

    /// Return the layout of the part with a fixed place; fields may overlap if the kernel says so.
    pub(crate) fn layout(&self) -> Layout {
        let field =
            |field: &Field| layout::Field { name: field.name.clone(), offset: field.offset, layout: field.layout() };
        Layout::Record(self.fields.iter().map(field).collect(), self.size())
    }
}

impl Field {
    fn layout(&self) -> Layout {
        let number = |size| Layout::Number(if self.signed { 'i' } else { 'u' }, size);
        match self.kind {
            Kind::Integer | Kind::Enum => number(self.size),
            Kind::Bool | Kind::Pointer => Layout::Number('u', self.size),
            Kind::Text => Layout::Text(self.size),
            Kind::Array { element_size, count } => Layout::Array(Box::new(number(element_size)), count),
            Kind::Dynamic { count: 1, .. } => Layout::Number('u', 4),
            Kind::Dynamic { count, .. } => Layout::Array(Box::new(Layout::Number('u', 4)), count),
            Kind::Opaque => Layout::Opaque(self.size),
        }
    }

    /// Return a value of the kernel's C as this field would hold it: `1 << 31` in an unsigned field is positive,
    /// `0xffffffff` in a signed one is -1. What does not fit stays, and is never met.
    fn represent(&self, value: i128) -> i128 {
        let bits = u32::try_from(self.size * 8).unwrap_or(u32::MAX);
        if !matches!(bits, 8 | 16 | 32 | 64) {
            return value;
        }
        let (whole, half) = (1_i128 << bits, 1_i128 << (bits - 1));
        match value {
            value if self.signed && (half..whole).contains(&value) => value - whole,
            value if !self.signed && (-half..0).contains(&value) => value + whole,
            value => value,
        }
    }
}

/// Names given so far, and how often each was asked for.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    asked: HashMap<String, usize>,
}

impl Names {
    fn unique(&mut self, name: &str) -> String {
        let asked = self.asked.entry(name.to_owned()).or_default();
        loop {
            *asked += 1;
            let candidate = if *asked == 1 { name.to_owned() } else { format!("{name}_{asked}") };
            if self.taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, line: usize, what: &'static str) -> Result<(), FormatError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(FormatError::Repeated { line, what }),
    }
}

/// Read `unsigned char common_flags; offset:2; size:1; signed:0;`; the kernel has tabs for the spaces.
fn parse_field(text: &str, line: usize, names: &mut Names) -> Result<Field, FormatError> {
    // From the end: an anonymous struct has semicolons in its type.
    let (mut offset, mut size, mut signed) = (None, None, None);
    let mut rest = text.trim_end_matches(';');
    let declared = loop {
        let Some((before, last)) = rest.rsplit_once(';') else { break rest };
        match last.trim().split_once(':') {
            Some(("offset", value)) => once(&mut offset, parse_length(value, line, "offset")?, line, "offset")?,
            Some(("size", value)) => once(&mut size, parse_length(value, line, "size")?, line, "size")?,
            Some(("signed", value)) => once(&mut signed, parse_number(value, line, "signed")? != 0, line, "signed")?,
            _ => break rest,
        }
        rest = before;
    };
    let declaration =
        Declaration::parse(declared).ok_or_else(|| FormatError::Name { line, what: excerpt(declared.trim()) })?;
    let missing = |what| FormatError::Missing { line, what };
    let (offset, size) = (offset.ok_or(missing("offset"))?, size.ok_or(missing("size"))?);
    let end = offset + size;
    if end > MAX_RECORD {
        return Err(FormatError::Size { line, field: excerpt(declaration.name), end });
    }
    let extent = Extent { size, signed };
    Ok(Field {
        name: names.unique(declaration.name),
        kernel_name: declaration.name.to_owned(),
        offset,
        size,
        signed: declaration.signed(extent),
        kind: declaration.kind(extent),
        common: declaration.name.starts_with("common_"),
        c_type: declaration.c_type,
    })
}

/// Read a number that, added to another such, still fits.
fn parse_length(text: &str, line: usize, what: &'static str) -> Result<usize, FormatError> {
    let number = parse_number(text, line, what)?;
    let small = usize::try_from(number).ok().filter(|number| *number <= MAX_RECORD);
    small.ok_or_else(|| FormatError::Range { line, what, text: excerpt(text.trim()) })
}

fn parse_number(text: &str, line: usize, what: &'static str) -> Result<u64, FormatError> {
    let text = text.trim();
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => FormatError::Range { line, what, text: excerpt(text) },
        _ => FormatError::Number { line, what, text: excerpt(text) },
    })
}

/// As much of a text as a message has room for.
fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Take the text of a tracepoint's ``format`` file apart; imports numpy.
///
/// The answer has ``name``, ``id``, ``size`` (bytes with a fixed place), ``dtype`` (of those bytes), ``fields`` (a
/// list of dicts in the kernel's order), ``format_string``, ``tables`` (names of values, in the kernel's order of
/// precedence), ``unknown`` (words in those tables that may be enumerators: give their values as `enumerators`) and
/// ``hints`` (``"hexadecimal"``, ``"octal"`` or ``"device"`` by field). Raises :class:`ValueError` with line and cause
/// if the text is not a format.
#[pyfunction]
#[pyo3(signature = (text, enumerators = HashMap::new()))]
#[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
pub(crate) fn parse_format<'py>(
    py: Python<'py>,
    text: &str,
    enumerators: HashMap<String, i128>,
) -> PyResult<Bound<'py, PyDict>> {
    let format = Format::parse_with(text, &enumerators)
        .map_err(|error| PyValueError::new_err(format!("parse format: {error}")))?;
    let answer = PyDict::new(py);
    answer.set_item("name", &format.name)?;
    answer.set_item("id", format.id)?;
    answer.set_item("size", format.size())?;
    answer.set_item("dtype", format.layout().dtype(py)?)?;
    let fields = format.fields.iter().map(|field| field_dict(py, field)).collect::<PyResult<Vec<_>>>()?;
    answer.set_item("fields", fields)?;
    answer.set_item("format_string", &format.print.text)?;
    let tables = format.print.tables.iter().map(|table| table_dict(py, table)).collect::<PyResult<Vec<_>>>()?;
    answer.set_item("tables", tables)?;
    answer.set_item("unknown", &format.print.unknown)?;
    let hints = PyDict::new(py);
    for (field, hint) in &format.print.hints {
        let hint = match hint {
            Hint::Hexadecimal => "hexadecimal",
            Hint::Octal => "octal",
            Hint::Device => "device",
        };
        hints.set_item(field, hint)?;
    }
    answer.set_item("hints", hints)?;
    Ok(answer)
}

fn field_dict<'py>(py: Python<'py>, field: &Field) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &field.name)?;
    dict.set_item("kernel_name", &field.kernel_name)?;
    dict.set_item("c_type", &field.c_type)?;
    dict.set_item("offset", field.offset)?;
    dict.set_item("size", field.size)?;
    dict.set_item("signed", field.signed)?;
    dict.set_item("kind", field.kind.name())?;
    dict.set_item("common", field.common)?;
    match field.kind {
        Kind::Array { element_size, count } => {
            dict.set_item("element_size", element_size)?;
            dict.set_item("count", count)?;
        }
        Kind::Dynamic { relative, text, element_size, count } => {
            dict.set_item("relative", relative)?;
            dict.set_item("text", text)?;
            dict.set_item("element_size", (element_size > 0).then_some(element_size))?;
            dict.set_item("count", count)?;
        }
        _ => {}
    }
    Ok(dict)
}

fn table_dict<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("field", &table.field)?;
    dict.set_item("kind", if table.delimiter.is_some() { "flags" } else { "symbolic" })?;
    dict.set_item("shift", table.shift)?;
    dict.set_item("mask", table.mask)?;
    dict.set_item("delimiter", &table.delimiter)?;
    dict.set_item("values", &table.values)?;
    dict.set_item("unresolved", &table.unresolved)?;
    Ok(dict)
}

#[cfg(test)]
mod tests;
