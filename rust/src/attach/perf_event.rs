//! Perf events: a program that runs on every so many hardware or software events.

use std::{
    io,
    os::fd::{BorrowedFd, IntoRawFd},
};

use pyo3::prelude::*;

use crate::{
    error::Error,
    link::Link,
    sys::perf::{self, Sampling},
};

/// What to count, on which tasks and CPUs.
pub(crate) struct Event {
    pub(crate) type_number: u32,
    pub(crate) config: u64,
    pub(crate) sampling: Sampling,
    pub(crate) pid: Option<i32>,
    pub(crate) cpu: Option<i32>,
    /// The leader of the group that it joins, -1 for none.
    pub(crate) group_fd: i32,
}

/// Attach `program` to an event of its own on one CPU, one process, or both.
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), event: &Event) -> Result<Link, Error> {
    const KIND: &str = "perf event";
    let (name, fd) = program;
    let target = format!("type {} config {:#x}", event.type_number, event.config);
    if event.pid.is_none() && event.cpu.is_none() {
        return Err(Error::Value("a perf event is of one CPU or of one process: give `cpu` or `pid`".into()));
    }
    let failed = |source: io::Error| {
        let operation = || format!("attach {KIND} `{name}` to `{target}`");
        let not_found = |cause: &str| Error::TargetNotFound { kind: KIND, target: target.clone(), cause: cause.into() };
        match source.raw_os_error() {
            Some(libc::ENOENT) => not_found("no such event"),
            Some(libc::ESRCH) => not_found("no such process"),
            Some(libc::ENODEV | libc::ENXIO) => not_found("no such CPU, or it is offline"),
            Some(libc::EOPNOTSUPP) => Error::NotSupported {
                operation: operation(),
                feature: "this event (virtual machines often lack hardware events)",
                minimum_kernel: None,
                hint: "use a software event such as the CPU clock (type 1, config 0)".into(),
            },
            _ => Error::or_privilege(source, operation(), |source| Error::Attach {
                program: name.to_owned(),
                kind: KIND,
                target: target.clone(),
                source,
            }),
        }
    };
    let opened = perf::open_counter(
        (event.type_number, event.config),
        event.sampling,
        (event.pid.unwrap_or(-1), event.cpu.unwrap_or(-1)),
        event.group_fd,
    )
    .map_err(failed)?;
    let attachment = super::to_perf_event(fd, opened).map_err(failed)?;
    Ok(Link::new(KIND, name, &target, attachment))
}

/// Open a hardware or software counter of one CPU, one process, or both, that programs can read from an array.
///
/// Returns a file descriptor, which is the caller's to close.
#[pyfunction]
#[pyo3(signature = (r#type, config, *, pid = None, cpu = None))]
pub(crate) fn open_perf_counter(r#type: u32, config: u64, pid: Option<i32>, cpu: Option<i32>) -> PyResult<i32> {
    let counted = (pid.unwrap_or(-1), cpu.unwrap_or(-1));
    let opened = perf::open_counter((r#type, config), Sampling::Period(0), counted, -1).map_err(|source| {
        let kind = r#type;
        let operation = format!("open perf counter of type {kind} config {config:#x}");
        Error::or_privilege(source, operation.clone(), |source| Error::System { operation, source })
    })?;
    Ok(opened.into_raw_fd())
}
