//! Tracepoints, as perf knows them.

use std::{io, os::fd::BorrowedFd};

use crate::{error::Error, kernel::tracefs::Tracefs, link::Link, sys::perf};

/// The category of what ftrace writes itself.
const FTRACE: &str = "ftrace";

/// Attach `program` to the tracepoint `category:name`.
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), category: &str, name: &str) -> Result<Link, Error> {
    const KIND: &str = "tracepoint";
    let (program_name, fd) = program;
    let target = format!("{category}:{name}");
    let failed =
        |source: io::Error| {
            Error::or_privilege(source, format!("attach {KIND} `{program_name}` to `{target}`"), |source| {
                Error::Attach { program: program_name.to_owned(), kind: KIND, target: target.clone(), source }
            })
        };
    if [category, name].iter().any(|part| part.is_empty() || part.contains(['/', '\0']) || part.starts_with('.')) {
        return Err(Error::Value(format!("{target:?} is not the name of a tracepoint (CATEGORY:NAME)")));
    }
    // They have formats, and two of them an id, but nothing to attach to (`FTRACE_ENTRY`, kernel/trace/trace_export.c).
    // Refused before perf is asked: of ftrace:function it would first trace every function of the kernel.
    if category == FTRACE && Tracefs::open().is_ok_and(|tracefs| tracefs.has(category, name)) {
        let cause = "a record of ftrace's own and no tracepoint: nothing can be attached to it".into();
        return Err(Error::TargetNotFound { kind: KIND, target, cause });
    }
    let id = match Tracefs::open().and_then(|tracefs| tracefs.tracepoint_id(category, name)) {
        Ok(id) => id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let cause = "no such tracepoint in tracefs".into();
            return Err(Error::TargetNotFound { kind: KIND, target, cause });
        }
        Err(error) => return Err(failed(error)),
    };
    let event = perf::open_tracepoint(id).map_err(failed)?;
    let attachment = super::to_perf_event(fd, event).map_err(failed)?;
    Ok(Link::new(KIND, program_name, &target, attachment))
}
