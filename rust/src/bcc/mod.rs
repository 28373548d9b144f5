//! The bcc route: C in bcc's dialect becomes an ordinary object.

pub(crate) mod kernel_reads;
