//! Waiting for several buffers at once, and making Python's objects of what they deliver.

use pyo3::prelude::*;

use crate::{
    batch::{deadline, is_over, wait},
    error::Error,
    polled_buffer::PolledBuffer,
    sys::python,
};

/// Poll several buffers: call each one's callback for every record that is there; return how many there were.
///
/// `buffers` are pairs of a :class:`PerfBuffer` or :class:`RecordBuffer` and the callback of its ``poll``. Waits up to
/// `timeout` seconds for the first record of any; ``None`` waits for ever, 0 never waits. An exception of a callback
/// ends the call and is raised; what was not delivered comes with the next call.
#[pyfunction]
#[pyo3(signature = (buffers, timeout = None))]
#[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
pub(crate) fn poll_buffers(
    py: Python<'_>,
    buffers: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    timeout: Option<f64>,
) -> PyResult<usize> {
    let until = deadline(timeout)?;
    let mut polled = Vec::with_capacity(buffers.len());
    for (buffer, callback) in &buffers {
        let kind = buffer.get_type();
        let wrong = |_| Error::Type(format!("only a PerfBuffer or RecordBuffer can be polled, not {kind}"));
        polled.push((buffer.cast::<PolledBuffer>().map_err(wrong)?.get().queue(), callback));
    }
    let wakes: Vec<_> = polled.iter().map(|(buffer, _)| buffer.wake()).collect::<Result<_, _>>()?;
    loop {
        let mut delivered = 0;
        for (buffer, callback) in &polled {
            delivered += buffer.deliver(py, callback)?;
        }
        if delivered > 0 || is_over(until) {
            return Ok(delivered);
        }
        py.detach(|| wait(&wakes, until));
        py.check_signals()?;
    }
}

/// Make an object of a ``ctypes`` class from the bytes at `address`: a copy, which stays when they are gone.
///
/// As ``from_buffer_copy(string_at(address, sizeof(class)))``, in one step. The bytes must be there: `address` is what a
/// buffer's callback was given, and the class no larger than its `size`. The class comes first so that it can be bound.
#[pyfunction]
#[pyo3(signature = (class_, address, /))]
pub(crate) fn event_from<'py>(class_: &Bound<'py, PyAny>, address: usize) -> PyResult<Bound<'py, PyAny>> {
    let event = class_.call0()?;
    python::fill(&event, address)?;
    Ok(event)
}
