//! The only numpy code: bytes that Rust owns become arrays that Python owns, without a copy.

use std::iter;

use numpy::PyArray1;
use pyo3::{prelude::*, types::PyTuple};

use crate::layout::{Field, Layout};

/// Move `bytes` into an array of `layout`, shaped `(rows,)` or, with `columns`, `(rows, columns)`; of arrays it has their
/// dimensions behind these.
pub(crate) fn from_bytes<'py>(
    py: Python<'py>,
    bytes: Vec<u8>,
    layout: &Layout,
    columns: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let (element, dimensions) = layout.split_array();
    let array = PyArray1::from_vec(py, bytes).into_any().call_method1("view", (element.dtype(py)?,))?;
    // numpy views bytes as anything but arrays.
    let shape: Vec<isize> = iter::once(-1)
        .chain(columns.into_iter().chain(dimensions).map(|length| isize::try_from(length).unwrap_or(isize::MAX)))
        .collect();
    if shape.len() == 1 { Ok(array) } else { array.call_method1("reshape", (PyTuple::new(py, shape)?,)) }
}

/// Return the rows of an array as what can be keys of a dict.
pub(crate) fn keys<'py>(array: &Bound<'py, PyAny>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    if !matches!(layout, Layout::Array(..)) {
        return elements(array, layout);
    }
    let py = array.py();
    let rows = array.call_method1("reshape", ((array.len()?, -1_isize),))?.call_method0("tolist")?;
    py.import("builtins")?.getattr("map")?.call1((py.get_type::<PyTuple>(), rows))
}

/// Return something to iterate over for the elements of `array` as Python's own objects, as `tolist` makes them.
///
/// numpy makes the tuples of an array of structs slowly, by looking each field up for each of them. Where the fields
/// are plain, their columns are made first, and the tuples of those.
pub(crate) fn elements<'py>(array: &Bound<'py, PyAny>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    let is_plain = |field: &Field| matches!(field.layout, Layout::Number(..) | Layout::Text(_));
    match layout {
        Layout::Record(fields, _) if !fields.is_empty() && fields.iter().all(is_plain) => {
            let column = |field: &Field| array.get_item(&field.name)?.call_method0("tolist");
            zip(array.py(), fields.iter().map(column).collect::<PyResult<Vec<_>>>()?)
        }
        _ => array.call_method0("tolist"),
    }
}

/// Python's `zip` of some lists.
pub(crate) fn zip<'py>(py: Python<'py>, lists: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    py.import("builtins")?.getattr("zip")?.call1(PyTuple::new(py, lists)?)
}
