//! Kprobes and kretprobes, through the kernel's kprobe PMU: the probe lives and dies with its descriptor, and nothing
//! is written to `kprobe_events` that a killed process could leave behind.

use std::{io, os::fd::BorrowedFd};

use super::pmu::Pmu;
use crate::{
    error::Error,
    link::Link,
    sys::{bpf, perf},
};

/// Attach `program` to the entry of `symbol` (+ `offset`), or to its return.
pub(crate) fn attach(
    program: (&str, BorrowedFd<'_>),
    symbol: &str,
    offset: u64,
    at_return: bool,
) -> Result<Link, Error> {
    let kind = if at_return { "kretprobe" } else { "kprobe" };
    let (name, fd) = program;
    let pmu = Pmu::open("kprobe").map_err(|_| Error::NotSupported {
        operation: format!("attach {kind} `{name}` to `{symbol}`"),
        feature: "the kprobe PMU (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)",
        minimum_kernel: Some("4.17"),
        hint: "a tracepoint, or fentry where this kernel has it; or a kernel built with CONFIG_KPROBES=y and \
               CONFIG_KPROBE_EVENTS=y"
            .into(),
    })?;
    let failed = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENOENT | libc::EADDRNOTAVAIL) => {
            Error::TargetNotFound { kind, target: symbol.to_owned(), cause: "no such function in the kernel".into() }
        }
        Some(libc::EINVAL | libc::EILSEQ) => Error::TargetNotFound {
            kind,
            target: symbol.to_owned(),
            cause: "the kernel does not allow a probe there (see /sys/kernel/debug/kprobes/blacklist)".into(),
        },
        _ => Error::or_privilege(source, format!("attach {kind} `{name}` to `{symbol}`"), |source| Error::Attach {
            program: name.to_owned(),
            kind,
            target: symbol.to_owned(),
            source,
        }),
    };
    let c_symbol = bpf::c_string(symbol).map_err(|error| Error::Value(format!("function name {symbol:?} {error}")))?;
    let return_bit = at_return.then(|| pmu.field("retprobe")).transpose().map_err(failed)?;
    let event = perf::open_kprobe(pmu.type_number, &c_symbol, offset, return_bit).map_err(failed)?;
    let attachment = super::to_perf_event(fd, event).map_err(failed)?;
    Ok(Link::new(kind, name, symbol, attachment))
}

/// Whether this kernel has kprobes.
pub(crate) fn is_supported() -> bool {
    Pmu::open("kprobe").is_ok()
}
