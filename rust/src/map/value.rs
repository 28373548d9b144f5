//! From Python's values to the bytes of keys and values.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyInt, PyMemoryView, PyTuple},
};

use crate::{error::Error, layout::Layout};

/// Turn a Python int, bytes, or tuple of ints into the bytes of a key or value.
pub(crate) fn bytes_of(value: &Bound<'_, PyAny>, layout: &Layout, what: &str, name: &str) -> Result<Vec<u8>, Error> {
    let size = layout.size();
    if let Ok(bytes) = value.cast::<PyBytes>() {
        let mut bytes = bytes.as_bytes().to_vec();
        if bytes.len() > size || (bytes.len() < size && !matches!(layout, Layout::Text(_))) {
            return Err(Error::Value(format!("{what} of `{name}` has {size} bytes, got {}", bytes.len())));
        }
        bytes.resize(size, 0);
        return Ok(bytes);
    }
    let too_wide = || Error::Value(format!("{what} of `{name}` has {size} bytes: {value} does not fit"));
    if let (Ok(tuple), Layout::Array(element, count)) = (value.cast::<PyTuple>(), layout) {
        if tuple.len() != *count {
            return Err(Error::Value(format!("`{name}` takes {count} numbers, got {}", tuple.len())));
        }
        return tuple
            .iter()
            .map(|item| bytes_of(&item, element, what, name))
            .collect::<Result<Vec<_>, _>>()
            .map(|parts| parts.concat());
    }
    if !value.is_instance_of::<PyInt>() && value.extract::<i128>().is_err() {
        let kind = value.get_type();
        return Err(Error::Type(format!("{what} of `{name}` must be int or bytes, not {kind}")));
    }
    if matches!(layout, Layout::Wide(_)) {
        let number = value.extract::<i128>().map(i128::cast_unsigned).or_else(|_| value.extract());
        return number.map(|number| number.to_le_bytes().to_vec()).map_err(|_| too_wide());
    }
    let number = value.extract::<i128>().map_err(|_| too_wide())?;
    let bits = u32::try_from(size * 8).unwrap_or(u32::MAX);
    if size > 8 || number >= 1 << bits || number < -(1 << (bits - 1)) {
        return Err(too_wide());
    }
    Ok(number.to_le_bytes()[..size].to_vec())
}

/// Copy what an object with a buffer holds: bytes, a numpy array of what `layout` is, an array of ctypes.
///
/// Of an array as a snapshot has them, with columns for bit fields, the bytes are made again.
pub(crate) fn bytes_in(object: &Bound<'_, PyAny>, layout: &Layout, what: &str, name: &str) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Some(dtype) = object.getattr_opt("dtype")?
        && layout.split_array().0.dtype(object.py())?.eq(&dtype)?
    {
        // Arrays have no buffer where fields overlap.
        let rows: Vec<u8> = object.call_method0("tobytes")?.extract()?;
        return if layout.has_bits() { packed(&rows, layout, what, name) } else { Ok(rows) };
    }
    let view = PyMemoryView::from(object)?;
    let format: String = view.getattr("format")?.extract()?;
    let item: usize = view.getattr("itemsize")?.extract()?;
    let shape: Option<Vec<usize>> = view.getattr("shape")?.extract()?;
    let shape = shape.unwrap_or_default();
    let row = shape.last().map_or(item, |length| length.saturating_mul(item));
    // Of what says its type, bytes are numbers as well, unless they come in rows; a bytearray is nothing but bytes.
    let in_rows = shape.len() > 1 && row == layout.size();
    let is_bytes = matches!(format.as_str(), "B" | "b" | "c") && (in_rows || !object.hasattr("dtype")?);
    if !is_bytes && !is_of(layout, &format, item, row) {
        let wanted = layout.dtype(object.py())?;
        let given = object.getattr_opt("dtype")?.map_or(format, |dtype| dtype.to_string());
        return Err(Error::Type(format!("{what}s of `{name}` are of dtype {wanted}, not {given}")).into());
    }
    view.call_method0("tobytes")?.extract()
}

/// Return the bytes in C of rows that have columns for bit fields.
fn packed(rows: &[u8], layout: &Layout, what: &str, name: &str) -> PyResult<Vec<u8>> {
    let row = layout.unpacked();
    let pack = |(index, bytes): (usize, &[u8])| {
        let disagree = || {
            format!(
                "{what} {index} of `{name}` has a bit field that is too large, or that shares bytes with a member of another value"
            )
        };
        layout.pack(&row, bytes).ok_or_else(|| Error::Value(disagree()))
    };
    Ok(rows.chunks_exact(row.size().max(1)).enumerate().map(pack).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Whether what a buffer's `format` says (that of Python's `struct`) is what a layout is made of: numbers of its kind and
/// size, or anything of its size where that has no kind. `row` are the bytes of the innermost dimension.
fn is_of(layout: &Layout, format: &str, item: usize, row: usize) -> bool {
    let (element, _) = layout.split_array();
    let native = format.trim_start_matches(['@', '=', '<']);
    match (native, element) {
        ("O", _) => false,
        _ if native.starts_with(['>', '!']) => false,
        (
            "b" | "B" | "h" | "H" | "i" | "I" | "l" | "L" | "q" | "Q" | "n" | "N" | "?",
            Layout::Number('u' | 'i' | 'b', size),
        )
        | ("e" | "f" | "d", Layout::Number('f', size)) => item == *size,
        ("e" | "f" | "d" | "g", _) => false,
        (_, Layout::Number(..)) => item == layout.size() && native.starts_with(|code: char| code.is_ascii_digit()),
        _ => [item, row].contains(&element.size()) || row == layout.size(),
    }
}
