//! Programs that are in the kernel.

use std::os::fd::OwnedFd;

use crate::kind::Kind;

/// The kinds that are one type of program to the kernel: what is loaded as one of them can be attached as each.
pub(crate) const PROBES: [&str; 4] = ["kprobe", "kretprobe", "uprobe", "uretprobe"];

/// A program that the verifier has accepted.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) kind: &'static Kind,
    pub(crate) target: Option<String>,
    pub(crate) fd: OwnedFd,
}

impl Program {
    pub(crate) fn new(name: &str, kind: &'static Kind, target: Option<&str>, fd: OwnedFd) -> Self {
        Self { name: name.to_owned(), kind, target: target.map(str::to_owned), fd }
    }

    pub(crate) fn is_for_returns(&self) -> bool {
        matches!(self.kind.name, "kretprobe" | "uretprobe")
    }
}
