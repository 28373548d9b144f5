//! C in bcc's dialect: from source text to an object, and what its types are to Python.

pub(crate) mod cache;
pub(crate) mod compile;
pub(crate) mod compiler;
pub(crate) mod diagnostics;
pub(crate) mod edits;
pub(crate) mod function_head;
pub(crate) mod functions;
pub(crate) mod interface;
pub(crate) mod kernel_config;
pub(crate) mod kernel_identity;
pub(crate) mod kernel_questions;
pub(crate) mod kernel_reads;
pub(crate) mod kernel_types;
pub(crate) mod lexer;
pub(crate) mod line_marks;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod packet_headers;
pub(crate) mod prelude;
pub(crate) mod program_section;
pub(crate) mod scan;
pub(crate) mod source;
pub(crate) mod source_text;
pub(crate) mod tracepoint_btf;
pub(crate) mod tracepoint_struct;
pub(crate) mod type_description;
