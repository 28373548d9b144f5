//! Waiting for several buffers at once.

use pyo3::prelude::*;

use crate::{
    batch::{deadline, is_over, wait},
    error::Error,
    polled_buffer::PolledBuffer,
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
