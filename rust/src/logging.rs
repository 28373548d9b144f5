//! Rust's log records in Python's `logging`: target `rtrace::object` becomes logger `rtrace.object`.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3_log::ResetHandle;

/// Forward log records from now on, if anybody can hear them; levels that were set since are looked at again.
///
/// Whoever wants to see records has imported `logging`; importing it for the others would take longer than to load
/// and attach a program.
pub(crate) fn listen(py: Python<'_>) -> PyResult<()> {
    static FORWARDING: OnceLock<Option<ResetHandle>> = OnceLock::new();
    let imported = py.import("sys")?.getattr("modules")?.contains("logging")?;
    if imported {
        // Another extension in this process may have set a logger already: then that one gets the records.
        if let Some(levels) = FORWARDING.get_or_init(|| pyo3_log::try_init().ok()) {
            levels.reset();
        }
    }
    Ok(())
}
