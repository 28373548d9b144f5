//! The tables of an object, by name: what a callback looks up for every event.

use pyo3::{
    gc::{PyTraverseError, PyVisit},
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

/// Base of a class whose objects give things by name, and make them when they are first asked for.
///
/// ``self[name]`` is what `known` has under the name, or `known_raw` under a name of bytes, else what
/// ``self.__missing__(name)`` returns. Those are two, as bytes and str of the same letters have the same hash, and would
/// be compared each time.
///
/// A ``dict`` itself would do as the base, did the interpreter not have its subclasses look for a method each time,
/// which takes several times as long.
#[pyclass(frozen, subclass, module = "rtrace._rtrace")]
pub(crate) struct Tables {
    /// What has been made so far, by name.
    #[pyo3(get)]
    known: Py<PyDict>,
    /// The same, by name as bytes.
    #[pyo3(get)]
    known_raw: Py<PyDict>,
}

#[pymethods]
impl Tables {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(py: Python<'_>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { known: PyDict::new(py).unbind(), known_raw: PyDict::new(py).unbind() }
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let known = if name.is_instance_of::<PyBytes>() { &slf.get().known_raw } else { &slf.get().known };
        match known.bind(py).get_item(name)? {
            Some(found) => Ok(found),
            None => slf.call_method1(intern!(py, "__missing__"), (name,)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The dicts clear themselves, which breaks any circle that this is in.
        visit.call(&self.known)?;
        visit.call(&self.known_raw)
    }
}
