//! Python's objects for the events that callbacks are told of.

use std::{ffi::CStr, sync::Mutex};

use pyo3::{
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple, PyType},
};

use crate::{
    error::Error,
    sys::python::{Copied, CopiedClass, OfAddress, add_method_of_address},
};

/// Base of tables of events: its method ``event(address)`` makes objects of the ``ctypes`` class ``self.event_type``.
///
/// That is asked for when the first object is needed.
#[pyclass(frozen, subclass, module = "rtrace._rtrace")]
pub(crate) struct EventMaker {
    class: PyOnceLock<CopiedClass>,
    /// The object made last, to be filled again once nobody else has it: most callbacks are done with theirs when they
    /// return, and making one takes longer than all the rest.
    last: Mutex<Option<Copied>>,
}

impl EventMaker {
    /// Ask for the class. Python's code, which may ask for an event in turn: no lock is held meanwhile.
    #[cold]
    fn learn<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a CopiedClass> {
        let py = slf.py();
        let class = CopiedClass::new(&slf.getattr(intern!(py, "event_type"))?)?;
        Ok(slf.get().class.get_or_init(py, || class))
    }
}

#[pymethods]
impl EventMaker {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { class: PyOnceLock::new(), last: Mutex::new(None) }
    }

    /// Give a derived class a method of its own, unless it has written one.
    #[classmethod]
    fn __init_subclass__(class: &Bound<'_, PyType>) -> PyResult<()> {
        let own = class.getattr(intern!(class.py(), "__dict__"))?.contains(Self::METHOD.to_string_lossy())?;
        if own { Ok(()) } else { add_method_of_address::<Self>(class) }
    }
}

impl OfAddress for EventMaker {
    const METHOD: &'static CStr = c"event";
    const DOCSTRING: &'static CStr = c"event($self, address, /)\n--\n\n\
        Return an object with the bytes at `address`: a copy, which stays when they are gone.\n\n\
        As ``from_buffer_copy(string_at(address, sizeof(class)))``, in one step. The bytes must be there: `address` is \
        what a buffer's callback was given, and the class no larger than its `size`.";

    fn call<'py>(slf: &Bound<'py, Self>, address: usize) -> PyResult<Bound<'py, PyAny>> {
        let (py, maker) = (slf.py(), slf.get());
        let class = match maker.class.get(py) {
            Some(class) => class,
            None => Self::learn(slf)?,
        };
        if address == 0 {
            return Err(
                Error::Value("event() takes the address that a buffer's callback was given, not 0".into()).into()
            );
        }
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
}
