//! What the running kernel offers: its types, its functions, its tracepoints, and what it allows.

pub(crate) mod btf;
#[cfg(test)]
pub(crate) mod btf_builder;
pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod kallsyms;
pub(crate) mod privilege;
pub(crate) mod tracefs;
