//! fentry, fexit, `fmod_ret`, security hooks, tracepoints with types: the target was chosen when the program was loaded.

use std::os::fd::BorrowedFd;

use crate::{
    error::Error,
    link::{Attachment, Link},
    sys::bpf,
};

/// Attach `program` to what it was loaded for.
pub(crate) fn attach(program: (&str, BorrowedFd<'_>), kind: &'static str, target: &str) -> Result<Link, Error> {
    let (name, fd) = program;
    let link = bpf::raw_tracepoint_open(fd, None).map_err(|source| match source.raw_os_error() {
        // The kernel's own ENOTSUPP, which libc has no name for.
        Some(libc::EOPNOTSUPP | 524) => Error::NotSupported {
            operation: format!("attach {kind} `{name}` to `{target}`"),
            feature: "a BPF trampoline for this function (ftrace direct calls)",
            minimum_kernel: Some("5.5"),
            hint: "use a kprobe instead (mechanism=\"kprobe\")".into(),
        },
        _ => Error::or_privilege(source, format!("attach {kind} `{name}` to `{target}`"), |source| Error::Attach {
            program: name.to_owned(),
            kind,
            target: target.to_owned(),
            source,
        }),
    })?;
    Ok(Link::new(kind, name, target, Attachment::new(link)))
}
