//! Checking: what a name stands for, and whether it can be compared so with such a value.

use super::{Comparison, FilterError, MAX_TEXT, Operand, Place, Test, TextComparison};
use crate::kernel::format::{Field, Format, Kind};

/// The start of a record that the kernel keeps for itself (`tp_prog_is_valid_access` in `kernel/trace/bpf_trace.c`).
const HIDDEN: usize = 8;

/// Find what a name stands for: a field of the record, or else something that is known of every event.
pub(super) fn operand(format: &Format, name: &str, column: usize) -> Result<Operand, FilterError> {
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
pub(super) fn number_test(
    operand: &Operand,
    operator: &str,
    value: i128,
    column: usize,
) -> Option<Result<Test, FilterError>> {
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
pub(super) fn text_test(
    operand: &Operand,
    operator: &str,
    value: &str,
    column: usize,
) -> Option<Result<Test, FilterError>> {
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
