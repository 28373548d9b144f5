//! Warnings from the native side.

use pyo3::{exceptions::PyResourceWarning, prelude::*};

/// Warn that an owner was dropped without being closed; it has let go of the kernel's side by itself.
pub(crate) fn unclosed(what: &str) {
    // During the interpreter's end there is nobody left to warn.
    let _ = Python::try_attach(|py| {
        // Dropped on the way out of a failure: that failure must survive.
        let pending = PyErr::take(py);
        let category = py.get_type::<PyResourceWarning>();
        let warned = py
            .import("warnings")
            .and_then(|warnings| warnings.call_method1("warn", (format!("unclosed {what}"), category)).map(drop));
        if let Err(error) = warned {
            // A filter has turned the warning into an error, which nothing here can raise.
            error.write_unraisable(py, None);
        }
        if let Some(pending) = pending {
            pending.restore(py);
        }
    });
}
