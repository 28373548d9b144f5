//! Links: live attachments.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
    thread,
};

use pyo3::{prelude::*, types::PyAny};

use crate::{attach::to_fd::Attached, error::Error, sys::bpf, warning};

/// What keeps a program attached; dropping it detaches.
pub(crate) struct Attachment {
    /// A BPF link, or the event itself on kernels without links for it.
    link: Option<OwnedFd>,
    /// The perf event under it.
    _event: Option<OwnedFd>,
    /// What has to be detached by hand.
    _attached: Option<Attached>,
}

impl Attachment {
    pub(crate) fn new(link: OwnedFd) -> Self {
        Self { link: Some(link), _event: None, _attached: None }
    }

    pub(crate) fn with_event(link: OwnedFd, event: OwnedFd) -> Self {
        Self { link: Some(link), _event: Some(event), _attached: None }
    }

    pub(crate) fn of_program(attached: Attached) -> Self {
        Self { link: None, _event: None, _attached: Some(attached) }
    }
}

/// A live attachment of a program; closing it detaches.
///
/// A context manager. Losing the last reference detaches as well, with a :class:`ResourceWarning`.
#[must_use = "the program is detached as soon as the link is dropped"]
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct Link {
    kind: &'static str,
    program: String,
    target: String,
    attachment: Mutex<Option<Attachment>>,
}

impl Link {
    pub(crate) fn new(kind: &'static str, program: &str, target: &str, attachment: Attachment) -> Self {
        Self { kind, program: program.to_owned(), target: target.to_owned(), attachment: Mutex::new(Some(attachment)) }
    }
}

#[pymethods]
impl Link {
    /// How it is attached: ``"kprobe"``, ``"fentry"``, ``"raw tracepoint"``, ...
    #[getter]
    fn kind(&self) -> &str {
        self.kind
    }

    /// Name of the program.
    #[getter]
    fn program(&self) -> &str {
        &self.program
    }

    /// What the program is attached to.
    #[getter]
    fn target(&self) -> &str {
        &self.target
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.attachment.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Hits that ran no program, or ``None`` where the kernel does not tell.
    ///
    /// For kretprobes these are the calls whose return found no free instance (the kernel's ``nmissed``).
    /// Kernel: 6.7 or newer, for kprobes and kretprobes.
    fn missed(&self) -> PyResult<Option<u64>> {
        /// `BPF_LINK_TYPE_PERF_EVENT`.
        const PERF_EVENT: u32 = 7;
        let guard = self.attachment.lock().unwrap_or_else(PoisonError::into_inner);
        let attachment = guard.as_ref().ok_or_else(|| Error::Closed(self.__repr__()))?;
        let Some(link) = &attachment.link else { return Ok(None) };
        let Ok(info) = bpf::link_info(link.as_fd()) else { return Ok(None) };
        // The kernel says what the event is since it also says how many were missed, one release earlier.
        let told = info.link_type == PERF_EVENT && info.perf_type != 0;
        Ok(told.then_some(info.missed))
    }

    /// Detach. Doing it again changes nothing.
    fn close(&self, py: Python<'_>) {
        let taken = self.attachment.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Detaching waits for programs that run just now.
        py.detach(|| drop(taken));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<Link {} {} program={}>", self.kind, self.target, self.program)
    }
}

/// Close links side by side.
///
/// Detaching from a tracepoint waits for every CPU to have left it, tens of milliseconds; links wait together then.
pub(crate) fn close_all(links: &[Py<Link>]) {
    let take = |link: &Py<Link>| link.get().attachment.lock().unwrap_or_else(PoisonError::into_inner).take();
    let attachments: Vec<Attachment> = links.iter().filter_map(take).collect();
    thread::scope(|scope| {
        for attachment in attachments {
            scope.spawn(move || drop(attachment));
        }
    });
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.closed() {
            warning::unclosed(&self.__repr__());
        }
    }
}
