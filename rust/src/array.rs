//! The only numpy code: bytes that Rust owns become arrays that Python owns, without a copy unless they have bit fields.

use std::iter;

use numpy::PyArray1;
use pyo3::{prelude::*, types::PyTuple};

use crate::layout::Layout;

/// Move `bytes` into an array of `layout`, shaped `(rows,)` or, with `columns`, `(rows, columns)`; of arrays it has their
/// dimensions behind these.
pub(crate) fn from_bytes<'py>(
    py: Python<'py>,
    bytes: Vec<u8>,
    layout: &Layout,
    columns: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = if layout.has_bits() { unpacked(&bytes, layout) } else { bytes };
    let (element, dimensions) = layout.split_array();
    let array = PyArray1::from_vec(py, bytes).into_any().call_method1("view", (element.dtype(py)?,))?;
    // numpy views bytes as anything but arrays.
    let shape: Vec<isize> = iter::once(-1)
        .chain(columns.into_iter().chain(dimensions).map(|length| isize::try_from(length).unwrap_or(isize::MAX)))
        .collect();
    if shape.len() == 1 { Ok(array) } else { array.call_method1("reshape", (PyTuple::new(py, shape)?,)) }
}

/// Return the rows in which bit fields have columns.
fn unpacked(bytes: &[u8], layout: &Layout) -> Vec<u8> {
    let row = layout.unpacked();
    let mut rows = vec![0; bytes.len() / layout.size() * row.size()];
    for (bytes, into) in bytes.chunks_exact(layout.size()).zip(rows.chunks_exact_mut(row.size())) {
        layout.unpack(&row, bytes, into);
    }
    rows
}
