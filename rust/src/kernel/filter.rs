//! Filters: from `dev == 254 and (bytes >= 4096 or comm == "dd")` to what a fixed eBPF program can evaluate.
//!
//! A program that is compiled once cannot follow any expression, but it can go through a table: at most
//! [`MAX_ALTERNATIVES`] alternatives of at most [`MAX_CONDITIONS`] conditions, each one comparison. Every expression
//! is brought into that form (negation is moved into the comparisons, `and` distributed over `or`) or refused with
//! the column that is one too many.

mod check;
mod meaning;
mod normal_form;
mod parser;
mod word;

use pyo3::{IntoPyObjectExt, exceptions::PyValueError, prelude::*, types::PyBytes, types::PyDict};
use thiserror::Error;

pub(crate) use self::meaning::Header;
use self::parser::MAX_DEPTH;
use super::format::Format;

/// Alternatives of which one must hold.
pub(crate) const MAX_ALTERNATIVES: usize = 4;
/// Conditions in one alternative, which must all hold.
pub(crate) const MAX_CONDITIONS: usize = 8;
/// Bytes of text in one condition; what the kernel calls `TASK_COMM_LEN`.
pub(crate) const MAX_TEXT: usize = 16;

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
    /// Where the `u32` at this offset says: see [`super::format::Kind::Dynamic`].
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
