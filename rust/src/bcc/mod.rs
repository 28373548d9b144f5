//! C in bcc's dialect: from source text to an object, and what its types are to Python.

pub(crate) mod kernel_reads;
pub(crate) mod kernel_types;
pub(crate) mod type_description;
