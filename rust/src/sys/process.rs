//! Which process something belongs to.
//!
//! A child of `fork` has a copy of all that its parent has: descriptors of the same open files, but none of the other
//! threads, none of perf's mappings (`VM_DONTCOPY`), and locks as they were at that moment, for ever.

use std::process;

/// The process that made something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    /// Return the one that this is.
    pub(crate) fn this() -> Self {
        Self(process::id())
    }

    /// Whether it is the one that asks. A system call: for every batch, not for every record.
    pub(crate) fn is_this(self) -> bool {
        self.0 == process::id()
    }

    pub(crate) fn id(self) -> u32 {
        self.0
    }
}
