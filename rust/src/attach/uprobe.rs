//! Uprobes and uretprobes, through the kernel's uprobe PMU: the probe lives and dies with its descriptor.

use std::{io, os::fd::BorrowedFd, path::Path};

use super::pmu::Pmu;
use crate::{
    error::Error,
    kernel::privilege,
    link::Link,
    sys::{bpf, perf},
};

/// Where a uprobe goes, and whom it concerns.
pub(crate) struct Place<'a> {
    pub(crate) path: &'a Path,
    /// Bytes from the start of the file.
    pub(crate) offset: u64,
    /// The one process, `None` for all.
    pub(crate) pid: Option<i32>,
    pub(crate) at_return: bool,
    /// Bytes from the start of the file to a counter that is one higher while the probe is there; 0 for none.
    pub(crate) semaphore_offset: u64,
}

/// Attach `program` to an instruction of a file, or to the return of the function that begins there.
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), place: &Place<'_>) -> Result<Link, Error> {
    let kind = if place.at_return { "uretprobe" } else { "uprobe" };
    let (name, fd) = program;
    let target = format!("{}:{:#x}", place.path.display(), place.offset);
    let not_found = |cause: &str| Error::TargetNotFound { kind, target: target.clone(), cause: cause.to_owned() };
    let unsupported = |feature: &'static str, minimum_kernel: &'static str, hint: &str| Error::NotSupported {
        operation: format!("attach {kind} `{name}` to `{target}`"),
        feature,
        minimum_kernel: Some(minimum_kernel),
        hint: hint.into(),
    };
    let failed = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENOENT) => not_found("no such file"),
        Some(libc::ESRCH) => not_found("no such process"),
        // The kernel reads the instruction there: beyond the end of the file, or none that can be probed.
        Some(libc::EINVAL | libc::EIO | libc::EILSEQ) => not_found("the kernel does not allow a probe there"),
        Some(libc::EOPNOTSUPP | 524) => not_found("the kernel cannot probe the instruction there"),
        // Since ba677dbe77af ("perf: Revert to requiring CAP_SYS_ADMIN for uprobes", Linux 6.16).
        Some(libc::EACCES) if refuses_all_but_admin(place.path) => Error::NeedsAdmin {
            operation: format!("attach {kind} `{name}` to `{target}`"),
            source,
            hint: "Linux 6.16, and older ones as updated since, want CAP_SYS_ADMIN for uprobes: run as root, or give the \
                   interpreter that capability",
        },
        _ => Error::or_privilege(source, format!("attach {kind} `{name}` to `{target}`"), |source| Error::Attach {
            program: name.to_owned(),
            kind,
            target: target.clone(),
            source,
        }),
    };
    let pmu = Pmu::open("uprobe").map_err(|_| {
        unsupported("the uprobe PMU (CONFIG_UPROBE_EVENTS)", "4.17", "use a kernel built with CONFIG_UPROBE_EVENTS=y")
    })?;
    let mut config = 0;
    if place.at_return {
        config |= 1 << pmu.field("retprobe").map_err(failed)?;
    }
    if place.semaphore_offset != 0 {
        let shift = pmu
            .field("ref_ctr_offset")
            .map_err(|_| unsupported("semaphores of uprobes", "4.20", "probe a place that has no semaphore"))?;
        let offset = u32::try_from(place.semaphore_offset)
            .map_err(|_| Error::Value(format!("semaphore_offset {:#x} is beyond 4 GiB", place.semaphore_offset)))?;
        config |= u64::from(offset) << shift;
    }
    let path =
        bpf::c_path(place.path).map_err(|error| Error::Value(format!("path `{}` {error}", place.path.display())))?;
    let event = perf::open_uprobe(pmu.type_number, config, &path, place.offset, place.pid).map_err(failed)?;
    let attachment = super::to_perf_event(fd, event).map_err(failed)?;
    Ok(Link::new(kind, name, &target, attachment))
}

/// Whether all that tracing needs is there but `CAP_SYS_ADMIN`, and the file can be reached.
fn refuses_all_but_admin(path: &Path) -> bool {
    privilege::missing_capabilities().is_empty() && !privilege::is_admin() && path.exists()
}
