//! Names of addresses and addresses of names: the kernel's, those of ELF files, and those of processes.
//!
//! [`elf`] reads what a file says of itself, [`table`] finds names in it, [`files`] remembers files; [`process`] puts
//! the tables of everything that a process has mapped at their addresses. [`usdt`] reads the probes that programs
//! declare. Files are read, never mapped: whoever shortens a mapped file ends its readers.

pub(crate) mod debug_file;
pub(crate) mod demangle;
pub(crate) mod elf;
pub(crate) mod file_symbols;
pub(crate) mod files;
pub(crate) mod find;
pub(crate) mod functions;
pub(crate) mod kernel;
pub(crate) mod maps;
pub(crate) mod perf_map;
pub(crate) mod process;
pub(crate) mod process_symbols;
pub(crate) mod table;
pub(crate) mod usdt;
pub(crate) mod usdt_argument;
