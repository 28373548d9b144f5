//! The entries of a map as a dict of Python's own values.

use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PySet, PyTuple},
};

use crate::layout::Layout;

/// Return keys and values that stand one after the other as a dict. Keys whose parts are all equal, so that only bytes
/// between these tell them apart, have all their bytes for one more part.
pub(crate) fn of<'py>(
    py: Python<'py>,
    (keys, key): (&[u8], &Layout),
    (values, value): (&[u8], &Layout),
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let keys = || keys.chunks_exact(key.size().max(1));
    let entries = || keys().zip(values.chunks_exact(value.size().max(1)));
    for (raw, bytes) in entries() {
        dict.set_item(python_value(py, raw, key, true)?, python_value(py, bytes, value, false)?)?;
    }
    if dict.len() == keys().len() {
        return Ok(dict);
    }
    let (first, alike) = (PyDict::new(py), PySet::empty(py)?);
    for raw in keys() {
        let shown = python_value(py, raw, key, true)?;
        match first.get_item(&shown)? {
            Some(other) if other.cast::<PyBytes>()?.as_bytes() != raw => alike.add(shown)?,
            _ => first.set_item(shown, PyBytes::new(py, raw))?,
        }
    }
    dict.clear();
    for (raw, bytes) in entries() {
        let mut shown = python_value(py, raw, key, true)?;
        if alike.contains(&shown)? {
            let parts = shown.cast_into::<PyTuple>().or_else(|other| PyTuple::new(py, [other.into_inner()]))?;
            shown = parts.add((PyBytes::new(py, raw),))?;
        }
        dict.set_item(shown, python_value(py, bytes, value, false)?)?;
    }
    Ok(dict)
}

/// Return the value of bytes: structs as tuples, arrays as lists or, where it has to be hashed, as tuples.
fn python_value<'py>(py: Python<'py>, bytes: &[u8], layout: &Layout, hashed: bool) -> PyResult<Bound<'py, PyAny>> {
    match layout {
        Layout::Number(..) | Layout::Wide(_) | Layout::Bits { .. } => python_number(py, bytes, layout),
        Layout::Text(_) => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Ok(PyBytes::new(py, &bytes[..end]).into_any())
        }
        Layout::Opaque(_) => Ok(PyBytes::new(py, bytes).into_any()),
        Layout::Array(element, _) => {
            let items = bytes.chunks_exact(element.size().max(1)).map(|bytes| python_value(py, bytes, element, hashed));
            let items = items.collect::<PyResult<Vec<_>>>()?;
            Ok(if hashed { PyTuple::new(py, items)?.into_any() } else { PyList::new(py, items)?.into_any() })
        }
        Layout::Record(fields, _) => {
            let items = fields.iter().map(|field| python_value(py, field.bytes_in(bytes), &field.layout, hashed));
            Ok(PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any())
        }
    }
}

fn python_number<'py>(py: Python<'py>, bytes: &[u8], layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    let number = layout.number_in(bytes);
    // All bits of a number of 64 and less are in the low half.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    let low = number as u64;
    match layout.number() {
        Layout::Number('f', 4) => bytes.try_into().map_or(f32::NAN, f32::from_le_bytes).into_bound_py_any(py),
        Layout::Number('f', _) => f64::from_bits(low).into_bound_py_any(py),
        Layout::Number('b', _) => (low != 0).into_bound_py_any(py),
        Layout::Number('i', _) => low.cast_signed().into_bound_py_any(py),
        Layout::Wide(true) => number.cast_signed().into_bound_py_any(py),
        Layout::Wide(false) => number.into_bound_py_any(py),
        _ => low.into_bound_py_any(py),
    }
}
