//! From Python's values to the bytes of keys and values.

use pyo3::{
    prelude::*,
    types::{PyBytes, PyMemoryView, PyTuple},
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
    let Ok(number) = value.extract::<i128>() else {
        let kind = value.get_type();
        return Err(Error::Type(format!("{what} of `{name}` must be int or bytes, not {kind}")));
    };
    let bits = u32::try_from(size * 8).unwrap_or(u32::MAX);
    if size > 8 || number >= 1 << bits || number < -(1 << (bits - 1)) {
        return Err(too_wide());
    }
    Ok(number.to_le_bytes()[..size].to_vec())
}

/// Copy what an object with a buffer holds: bytes, a numpy array, an array of ctypes.
pub(crate) fn bytes_in(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    PyMemoryView::from(object)?.call_method0("tobytes")?.extract()
}
