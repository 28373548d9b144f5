//! Everything that can go wrong, and the one place where it becomes a Python exception.
//!
//! The exception classes live in `rtrace.errors`; their attributes carry the facts, the message the sentence.

use std::io;

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyTuple},
};
use thiserror::Error;

use crate::{
    attach,
    bcc::{
        diagnostics::{Diagnostic, summary},
        kernel_reads::ReadsError,
    },
    kernel::{btf::BtfError, privilege},
    load::way_out,
    sys::process::Process,
};

/// What went wrong, with the names of the things it went wrong with.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("{operation}: {source}")]
    Privilege { operation: String, source: io::Error },
    /// Refused by a check for `CAP_SYS_ADMIN` itself, where less is enough for most of tracing.
    #[error("{operation}: {source}")]
    NeedsAdmin { operation: String, source: io::Error, hint: &'static str },
    #[error("{operation}: {feature} is missing here")]
    NotSupported { operation: String, feature: &'static str, minimum_kernel: Option<&'static str>, hint: String },
    #[error("{operation} `{object}`: {cause}")]
    Load { operation: &'static str, object: String, program: Option<String>, cause: String, errno: Option<i32> },
    #[error("load `{object}`: the verifier refused program `{program}`{}", at(.place.as_deref()))]
    Verifier { object: String, program: String, place: Option<String>, log: Vec<String>, errno: Option<i32> },
    #[error("load `{object}`: {source}")]
    Reads { object: String, source: ReadsError },
    #[error("compile `{name}`{}", summary(.name, .diagnostics, .excerpt.as_deref()))]
    Compile {
        name: String,
        diagnostics: Vec<Diagnostic>,
        /// The line of the first error.
        excerpt: Option<String>,
        log: String,
        hint: Option<String>,
    },
    #[error("attach {kind} `{program}` to `{target}`: {source}")]
    Attach { program: String, kind: &'static str, target: String, source: io::Error },
    #[error("attach {kind} to `{target}`: {cause}")]
    TargetNotFound { kind: &'static str, target: String, cause: String },
    #[error("{operation} map `{map}`: {source}")]
    Map { operation: &'static str, map: String, source: io::Error },
    #[error("{operation} map `{map}`: {cause}")]
    MapRefused { operation: &'static str, map: String, cause: String, errno: Option<i32>, hint: Option<String> },
    #[error("map `{map}`: no such key {key}")]
    MapKey { map: String, key: String },
    #[error("BTF of `{of}`: {source}")]
    Btf { of: String, source: BtfError },
    #[error("{operation}: {cause}")]
    Symbol { operation: String, cause: String },
    #[error("read /proc/kallsyms: the kernel hides its addresses")]
    HiddenAddresses,
    #[error("{operation}: {source}")]
    System { operation: String, source: io::Error },
    #[error("no {what} `{name}` in `{object}`; it has {known}")]
    NoSuchMember { what: &'static str, name: String, object: String, known: String },
    #[error("{0} is closed")]
    Closed(String),
    #[error("{what} belongs to process {pid}, which this one is a fork of")]
    OtherProcess { what: String, pid: u32 },
    #[error("{0}")]
    Value(String),
    #[error("{0}")]
    Type(String),
}

impl Error {
    /// Say that an object has no program, map or global called `name`, and which it has.
    pub(crate) fn no_such<'a>(
        what: &'static str,
        name: &str,
        object: &str,
        known: impl Iterator<Item = &'a String>,
    ) -> Self {
        let mut known: Vec<_> = known.map(String::as_str).collect();
        known.sort_unstable();
        Self::NoSuchMember { what, name: name.to_owned(), object: object.to_owned(), known: known.join(", ") }
    }

    /// Refuse what another process has opened: this one is a fork of it, and has no more than a copy.
    pub(crate) fn unless_ours(process: Process, what: impl FnOnce() -> String) -> Result<(), Self> {
        if process.is_this() { Ok(()) } else { Err(Self::OtherProcess { what: what(), pid: process.id() }) }
    }

    /// Tell a refusal of privilege apart from other failures of a system call.
    pub(crate) fn or_privilege(
        source: io::Error,
        operation: impl Into<String>,
        other: impl FnOnce(io::Error) -> Self,
    ) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Privilege { operation: operation.into(), source },
            _ => other(source),
        }
    }

    /// Return what to do about it, where that is known.
    fn way_out(&self) -> Option<String> {
        Some(match self {
            Self::Privilege { .. } => privilege::way_out(),
            Self::NeedsAdmin { hint, .. } => (*hint).to_owned(),
            Self::NotSupported { hint, .. } => hint.clone(),
            Self::Verifier { log, .. } => way_out::of_refusal(log)?.to_owned(),
            Self::Reads { source, .. } => source.hint()?.to_owned(),
            Self::Compile { hint, .. } | Self::MapRefused { hint, .. } => hint.clone()?,
            Self::Attach { kind, source, .. } => {
                attach::way_out::of_errno(kind, source.raw_os_error()).or(of_errno(source))?.to_owned()
            }
            Self::Map { source, .. } | Self::System { source, .. } => of_errno(source)?.to_owned(),
            Self::Btf { .. } => {
                "the kernel must be built with CONFIG_DEBUG_INFO_BTF=y; `rtrace doctor` tells".to_owned()
            }
            Self::HiddenAddresses => {
                "run as root, or set kernel.kptr_restrict to 0 or 1 and have CAP_SYSLOG".to_owned()
            }
            Self::OtherProcess { .. } => {
                "readers belong to the process that opened them: open one in this process".to_owned()
            }
            _ => return None,
        })
    }
}

/// Return the way out of what can happen to any system call.
fn of_errno(source: &io::Error) -> Option<&'static str> {
    match source.raw_os_error()? {
        libc::EMFILE => Some(
            "this process may open no more files, of which maps, programs and links are some: close() what is not needed, or \
             raise the limit (`ulimit -n`, resource.setrlimit)",
        ),
        libc::ENFILE => Some("the machine may open no more files: raise the sysctl fs.file-max"),
        _ => None,
    }
}

/// Say where in the source something is, if that is known.
fn at(place: Option<&str>) -> String {
    place.map_or_else(String::new, |place| format!(" at {place}"))
}

/// The Python class of an error and what it is made with.
struct Exception<'py> {
    class: &'static str,
    hint: Option<String>,
    facts: Bound<'py, PyDict>,
}

fn describe<'py>(py: Python<'py>, error: &Error) -> PyResult<Exception<'py>> {
    let facts = PyDict::new(py);
    let class = match error {
        Error::Privilege { source, .. } => {
            facts.set_item("errno", source.raw_os_error())?;
            facts.set_item("missing", PyTuple::new(py, privilege::missing_capabilities())?)?;
            "PrivilegeError"
        }
        Error::NeedsAdmin { source, .. } => {
            facts.set_item("errno", source.raw_os_error())?;
            facts.set_item("missing", PyTuple::new(py, ["CAP_SYS_ADMIN"])?)?;
            "PrivilegeError"
        }
        Error::NotSupported { feature, minimum_kernel, .. } => {
            facts.set_item("feature", feature)?;
            facts.set_item("minimum_kernel", minimum_kernel)?;
            facts.set_item("running_kernel", privilege::kernel_release())?;
            "NotSupportedError"
        }
        Error::Load { object, program, errno, .. } => {
            facts.set_item("object", object)?;
            facts.set_item("program", program)?;
            facts.set_item("errno", errno)?;
            "LoadError"
        }
        Error::Verifier { object, program, log, errno, .. } => {
            facts.set_item("object", object)?;
            facts.set_item("program", program)?;
            facts.set_item("errno", errno)?;
            facts.set_item("log", PyTuple::new(py, log)?)?;
            "VerifierError"
        }
        Error::Reads { object, source } => {
            facts.set_item("object", object)?;
            facts.set_item("program", source.program())?;
            facts.set_item("errno", None::<i32>)?;
            "LoadError"
        }
        Error::Compile { name, diagnostics, log, .. } => {
            let said = diagnostics.iter().map(|said| said.to_dict(py)).collect::<PyResult<Vec<_>>>()?;
            facts.set_item("object", name)?;
            facts.set_item("diagnostics", PyTuple::new(py, said)?)?;
            facts.set_item("log", log)?;
            "CompileError"
        }
        Error::Attach { program, kind, target, source } => {
            facts.set_item("program", program)?;
            facts.set_item("kind", kind)?;
            facts.set_item("target", target)?;
            facts.set_item("errno", source.raw_os_error())?;
            "AttachError"
        }
        Error::TargetNotFound { kind, target, .. } => {
            facts.set_item("kind", kind)?;
            facts.set_item("target", target)?;
            "TargetNotFoundError"
        }
        Error::Map { map, source, .. } => {
            facts.set_item("map", map)?;
            facts.set_item("errno", source.raw_os_error())?;
            "MapError"
        }
        Error::MapRefused { map, errno, .. } => {
            facts.set_item("map", map)?;
            facts.set_item("errno", errno)?;
            "MapError"
        }
        Error::MapKey { map, .. } => {
            facts.set_item("map", map)?;
            "MapKeyError"
        }
        Error::Btf { .. } => "BtfError",
        Error::Symbol { .. } => "SymbolError",
        Error::HiddenAddresses => {
            facts.set_item("missing", PyTuple::new(py, ["CAP_SYSLOG"])?)?;
            "PrivilegeError"
        }
        Error::System { .. } => "RtraceError",
        Error::NoSuchMember { object, .. } => {
            facts.set_item("object", object)?;
            "LoadError"
        }
        Error::Closed(_) => "ClosedError",
        Error::OtherProcess { pid, .. } => {
            facts.set_item("pid", pid)?;
            "OtherProcessError"
        }
        Error::Value(_) | Error::Type(_) => "",
    };
    Ok(Exception { class, hint: error.way_out(), facts })
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match &error {
            Error::Value(message) => return PyValueError::new_err(message.clone()),
            Error::Type(message) => return PyTypeError::new_err(message.clone()),
            _ => {}
        }
        Python::attach(|py| {
            let build = || -> PyResult<PyErr> {
                let Exception { class, hint, facts } = describe(py, &error)?;
                facts.set_item("hint", hint.into_py_any(py)?)?;
                let class = py.import("rtrace.errors")?.getattr(class)?;
                Ok(PyErr::from_value(class.call((error.to_string(),), Some(&facts))?))
            };
            build().unwrap_or_else(|failure| failure)
        })
    }
}
