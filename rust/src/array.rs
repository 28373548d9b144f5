//! The only numpy code: bytes that Rust owns become arrays that Python owns, without a copy.

use numpy::PyArray1;
use pyo3::{prelude::*, types::PyTuple};

use crate::layout::{Field, Layout};

/// Move `bytes` into an array of `layout`, shaped `(rows,)` or, with `columns`, `(rows, columns)`.
pub(crate) fn from_bytes<'py>(
    py: Python<'py>,
    bytes: Vec<u8>,
    layout: &Layout,
    columns: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let array = PyArray1::from_vec(py, bytes).into_any().call_method1("view", (layout.dtype(py)?,))?;
    match columns {
        None => Ok(array),
        Some(columns) => array.call_method1("reshape", ((-1_isize, columns),)),
    }
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
