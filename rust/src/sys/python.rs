//! Calls into the interpreter that are too frequent for anything but its own functions.

use std::ptr;

use pyo3::{ffi, prelude::*};

/// Call `function` with three arguments and drop its result: without a tuple for the arguments, which costs as much
/// as the call.
pub(crate) fn call(
    function: &Bound<'_, PyAny>,
    first: &Bound<'_, PyAny>,
    second: &Bound<'_, PyAny>,
    third: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: live objects, the null that ends the arguments, and an attached interpreter, which `Bound` proves; the
    // result is ours.
    unsafe {
        let end = ptr::null_mut::<ffi::PyObject>();
        let result =
            ffi::PyObject_CallFunctionObjArgs(function.as_ptr(), first.as_ptr(), second.as_ptr(), third.as_ptr(), end);
        if result.is_null() {
            return Err(PyErr::fetch(function.py()));
        }
        ffi::Py_DECREF(result);
    }
    Ok(())
}

/// Copy bytes from `address` into the memory of `object`, as much as it has.
///
/// The address comes from Python, as that of `ctypes.string_at` does: who passes a wrong one reads what is there.
pub(crate) fn fill(object: &Bound<'_, PyAny>, address: usize) -> PyResult<()> {
    // SAFETY: the view is released before it goes, and written within its length.
    unsafe {
        let mut view = std::mem::zeroed::<ffi::Py_buffer>();
        if ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut view, ffi::PyBUF_WRITABLE) != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        let length = usize::try_from(view.len).unwrap_or(0);
        ptr::copy_nonoverlapping(address as *const u8, view.buf.cast::<u8>(), length);
        ffi::PyBuffer_Release(&raw mut view);
    }
    Ok(())
}
