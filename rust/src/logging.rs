//! Rust's log records in Python's `logging`: target `rtrace::object` becomes logger `rtrace.object`.

use std::sync::Once;

use pyo3::prelude::*;

/// Forward log records from now on, if anybody can hear them.
///
/// Whoever wants to see records has imported `logging`; importing it for the others would take longer than to load
/// and attach a program.
pub(crate) fn listen(py: Python<'_>) -> PyResult<()> {
    static FORWARDING: Once = Once::new();
    let imported = py.import("sys")?.getattr("modules")?.contains("logging")?;
    if imported {
        // Another extension in this process may have set a logger already: then that one gets the records.
        FORWARDING.call_once(|| drop(pyo3_log::try_init()));
    }
    Ok(())
}
