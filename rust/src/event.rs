//! Python's objects for the events that callbacks are told of.

use std::sync::Mutex;

use pyo3::{prelude::*, sync::PyOnceLock};

use crate::sys::python::{Copied, CopiedClass};

/// Makes an object of a ``ctypes`` class for each event, by :func:`event_from`.
///
/// `make_class` gives the class; it is called when the first object is needed.
#[pyclass(frozen, module = "rtrace._rtrace")]
pub(crate) struct EventMaker {
    make_class: Py<PyAny>,
    class: PyOnceLock<CopiedClass>,
    /// The object made last, to be filled again once nobody else has it: most callbacks are done with theirs when they
    /// return, and making one takes longer than all the rest.
    last: Mutex<Option<Copied>>,
}

impl EventMaker {
    /// Have the class made. Python's code, which may ask for an event in turn: no lock is held meanwhile.
    #[cold]
    fn learn(&self, py: Python<'_>) -> PyResult<&CopiedClass> {
        let class = CopiedClass::new(&self.make_class.bind(py).call0()?)?;
        Ok(self.class.get_or_init(py, || class))
    }
}

#[pymethods]
impl EventMaker {
    #[new]
    #[pyo3(signature = (make_class, /))]
    fn new(make_class: Py<PyAny>) -> Self {
        Self { make_class, class: PyOnceLock::new(), last: Mutex::new(None) }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        self.class.get(py).map_or_else(|| "<EventMaker>".into(), |class| format!("<EventMaker of {class}>"))
    }
}

/// Return an object with the bytes at `address`: a copy, which stays when they are gone.
///
/// As ``from_buffer_copy(string_at(address, sizeof(class)))``, in one step. The bytes must be there: `address` is what a
/// buffer's callback was given, and the class no larger than its `size`. The maker comes first so that it can be bound.
#[pyfunction]
#[pyo3(signature = (maker, address, /))]
pub(crate) fn event_from<'py>(maker: &Bound<'py, EventMaker>, address: usize) -> PyResult<Bound<'py, PyAny>> {
    let py = maker.py();
    let maker = maker.get();
    let class = match maker.class.get(py) {
        Some(class) => class,
        None => maker.learn(py)?,
    };
    // Whoever comes while another thread is here, or out of the making of an object, gets one of its own.
    let Ok(mut last) = maker.last.try_lock() else { return Ok(class.copy(py, address)?.into_object(py)) };
    if let Some(copied) = last.as_ref()
        && class.refill(py, copied, address)
    {
        return Ok(copied.object(py));
    }
    let made = class.copy(py, address)?;
    let object = made.object(py);
    *last = class.refills().then_some(made);
    Ok(object)
}
