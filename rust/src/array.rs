//! The only numpy code: bytes that Rust owns become arrays that Python owns, without a copy.

use numpy::PyArray1;
use pyo3::prelude::*;

use crate::layout::Layout;

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
