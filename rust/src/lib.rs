//! The native half of rtrace: loads eBPF objects, attaches their programs, and moves their data in batches.
//!
//! The modules follow the path of the data: [`spec`] -> [`load`] -> [`object`] -> [`attach`] -> [`link`], then back
//! through [`map`] and [`layout`] to [`array`]. [`sys`] holds every system call, [`error`] every failure.

#![deny(unsafe_code)]

mod array;
mod attach;
mod batch;
mod bcc;
mod contain;
mod error;
mod event;
mod held;
mod kernel;
mod kind;
mod layout;
mod link;
mod load;
mod loaded_maps;
mod logging;
mod map;
mod nearest;
mod object;
mod perf_buffer;
mod poll;
mod polled_buffer;
mod prebuilt;
mod program;
mod record_buffer;
mod ring_buffer;
mod sections;
mod shared_maps;
mod spec;
mod symbols;
mod sys;
mod tables;
mod warning;

use pyo3::prelude::*;

/// The native half of rtrace; use the classes through :mod:`rtrace`.
#[pymodule(gil_used = false)]
mod _rtrace {
    use std::{
        collections::{HashMap, HashSet},
        str::FromStr,
    };

    use pyo3::prelude::*;

    #[pymodule_export]
    use super::attach::perf_event::open_perf_counter;
    #[pymodule_export]
    use super::bcc::interface::{compile_c, find_compiler, show_c};
    #[pymodule_export]
    use super::bcc::kernel_questions::{enum_has_value, struct_has_member, struct_member_bits};
    #[pymodule_export]
    use super::event::EventMaker;
    #[pymodule_export]
    use super::kernel::{
        filter::{filter_matches, parse_filter},
        format::parse_format,
    };
    #[pymodule_export]
    use super::load::explain::explain_program;
    #[pymodule_export]
    use super::poll::poll_buffers;
    #[pymodule_export]
    use super::symbols::{
        file_symbols::FileSymbols,
        functions::{elf_address_offset, elf_functions, elf_symbol_offset, find_executable, find_library, usdt_probes},
        kernel::KernelSymbols,
        process_symbols::ProcessSymbols,
    };
    use super::{
        bcc,
        error::Error,
        kernel::{btf, kallsyms, privilege, tracefs::Tracefs},
        link,
        sys::python::add_method_of_address,
    };
    #[pymodule_export]
    use super::{
        link::Link, map::Map, object::Object, perf_buffer::PerfBuffer, polled_buffer::PolledBuffer,
        record_buffer::RecordBuffer, ring_buffer::RingBuffer, spec::ObjectSpec, tables::Tables,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        add_method_of_address::<EventMaker>(&module.py().get_type::<EventMaker>())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }

    /// List the kernel's functions as pairs of name and module (``None`` for the kernel itself).
    ///
    /// Source: ``/proc/kallsyms``; needs no privilege.
    #[pyfunction]
    fn kernel_functions(py: Python<'_>) -> PyResult<Vec<(String, Option<String>)>> {
        let symbols = py.detach(kallsyms::functions)?;
        Ok(symbols.into_iter().map(|symbol| (symbol.name, symbol.module)).collect())
    }

    /// Return how many parameters a kernel function has, or ``None`` if the kernel's BTF does not describe it.
    #[pyfunction]
    fn function_parameters(py: Python<'_>, name: &str) -> PyResult<Option<usize>> {
        let found = py.detach(|| btf::find_function(name));
        let found = found.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?;
        Ok(found.map(|function| function.parameters))
    }

    /// Return the structs that a raw tracepoint's arguments point to, or ``None`` if BTF does not describe it.
    #[pyfunction]
    fn tracepoint_arguments(py: Python<'_>, name: &str) -> PyResult<Option<Vec<String>>> {
        let found = py.detach(|| btf::tracepoint_arguments(name));
        Ok(found.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?)
    }

    /// Return the values of the kernel's and its modules' enumerators of these names.
    ///
    /// A dict without those that there are not, and without those that have different values in different places.
    #[pyfunction]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn enumerators(py: Python<'_>, names: HashSet<String>) -> PyResult<HashMap<String, i128>> {
        let found = py.detach(|| btf::enumerators(&names));
        Ok(found.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?)
    }

    /// Return offset and size in bytes of a member of one of the kernel's structs, or ``None`` if there is no such.
    #[pyfunction]
    fn struct_member(py: Python<'_>, name: &str, member: &str) -> PyResult<Option<(usize, usize)>> {
        let found = py.detach(|| btf::member(name, member));
        Ok(found.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?)
    }

    /// Return the C text of the kernel's types that are among `identifiers` and of what they are made of.
    ///
    /// What a member points to is defined too if the member's own name is among the identifiers, else only declared.
    /// Names in `defined` are left to the program that the text is for.
    #[pyfunction]
    #[pyo3(signature = (identifiers, defined = HashSet::new()))]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn kernel_types(py: Python<'_>, identifiers: HashSet<String>, defined: HashSet<String>) -> PyResult<String> {
        let identifiers: HashSet<_> = identifiers.iter().map(String::as_str).collect();
        let defined: HashSet<_> = defined.iter().map(String::as_str).collect();
        let request = bcc::kernel_types::Request {
            tags: identifiers.clone(),
            identifiers,
            own_tags: defined.clone(),
            own_names: defined,
        };
        let text = py.detach(|| bcc::kernel_types::of_kernel(&request));
        Ok(text.map_err(|source| Error::Btf { of: "vmlinux".into(), source })?)
    }

    /// Close links side by side; faster than one after the other where detaching has to wait for the kernel.
    #[pyfunction]
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    fn close_all(py: Python<'_>, links: Vec<Py<Link>>) {
        py.detach(|| link::close_all(&links));
    }

    /// Return the number of a system call on this machine, or ``None`` if it has no such call.
    #[pyfunction]
    fn syscall_number(name: &str) -> Option<i32> {
        syscalls::Sysno::from_str(name).ok().map(|number| number.id())
    }

    /// Return the name of the system call of that number on this machine, or ``None`` if there is no such call.
    #[pyfunction]
    fn syscall_name(number: usize) -> Option<&'static str> {
        syscalls::Sysno::new(number).map(|number| number.name())
    }

    /// Return where tracefs can be read, and whether that is one of the user's own mounts.
    ///
    /// Where it is not mounted, rtrace mounts it for itself alone; the path is valid in this process only.
    #[pyfunction]
    fn tracefs(py: Python<'_>) -> PyResult<(String, bool)> {
        let opened = py.detach(Tracefs::open);
        let tracefs = opened.map_err(|source| {
            let operation = "open tracefs";
            Error::or_privilege(source, operation, |source| Error::System { operation: operation.into(), source })
        })?;
        Ok((tracefs.root().display().to_string(), tracefs.is_mounted()))
    }

    /// Whether this kernel has kprobes.
    #[pyfunction]
    fn has_kprobes() -> bool {
        super::attach::kprobe::is_supported()
    }

    /// Return the names of the capabilities that tracing needs and this process lacks.
    #[pyfunction]
    fn missing_capabilities() -> Vec<&'static str> {
        privilege::missing_capabilities()
    }

    /// Return the kernel's lockdown mode, or ``None`` where it does not tell.
    #[pyfunction]
    fn lockdown() -> Option<String> {
        privilege::lockdown()
    }
}
