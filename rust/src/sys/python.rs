//! Calls into the interpreter that are too frequent for anything but its own functions.

use std::{fmt, ptr, sync::OnceLock};

use pyo3::{ffi, prelude::*};

type Vectorcall = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// `PyObject_Vectorcall`: an interpreter's since 3.9, in the stable interface only since 3.12, so it is looked for.
fn vectorcall() -> Option<Vectorcall> {
    static FOUND: OnceLock<Option<Vectorcall>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the name ends in a null.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PyObject_Vectorcall".as_ptr()) };
        // SAFETY: a null is `None`; the function's type is that of PEP 590.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Vectorcall>>(symbol) }
    })
}

/// A Python function that is called very often with three arguments: without a tuple for them, which costs as much as
/// the call.
pub(crate) struct Callback<'py> {
    function: Bound<'py, PyAny>,
    vectorcall: Option<Vectorcall>,
}

impl<'py> Callback<'py> {
    pub(crate) fn new(function: &Bound<'py, PyAny>) -> Self {
        Self { function: function.clone(), vectorcall: vectorcall() }
    }

    /// Call it and drop its result.
    #[inline]
    pub(crate) fn call(
        &self,
        first: &Bound<'_, PyAny>,
        second: &Bound<'_, PyAny>,
        third: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (function, null) = (self.function.as_ptr(), ptr::null_mut::<ffi::PyObject>());
        // SAFETY: live objects, and an attached interpreter, which `Bound` proves; the result is ours. The place before
        // the arguments is the callee's to use, as the flag says; the null ends those that are not counted.
        unsafe {
            let result = if let Some(vectorcall) = self.vectorcall {
                let arguments = [null, first.as_ptr(), second.as_ptr(), third.as_ptr()];
                vectorcall(function, arguments.as_ptr().add(1), 3 | ARGUMENTS_OFFSET, null)
            } else {
                ffi::PyObject_CallFunctionObjArgs(function, first.as_ptr(), second.as_ptr(), third.as_ptr(), null)
            };
            if result.is_null() {
                return Err(PyErr::fetch(self.function.py()));
            }
            ffi::Py_DECREF(result);
        }
        Ok(())
    }
}

/// `PY_VECTORCALL_ARGUMENTS_OFFSET`.
const ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// A class of `ctypes` whose objects are made of bytes at an address.
///
/// The address comes from Python, as that of `ctypes.string_at` does: who passes a wrong one reads what is there.
pub(crate) struct CopiedClass {
    class: Py<PyAny>,
    /// Bytes of an object.
    size: usize,
    /// Whether objects can have members that scripts have added.
    has_dict: bool,
    refills: bool,
}

/// An object of such a class.
pub(crate) struct Copied(Py<PyAny>);

impl Copied {
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.bind(py).clone()
    }

    pub(crate) fn into_object(self, py: Python<'_>) -> Bound<'_, PyAny> {
        self.0.into_bound(py)
    }
}

impl CopiedClass {
    /// Take a class whose objects have a buffer that can be written.
    pub(crate) fn new(class: &Bound<'_, PyAny>) -> PyResult<Self> {
        let sample = class.call0()?;
        let (address, size) = buffer(&sample)?;
        let has_word = sample.get_type().getattr("__basicsize__")?.extract::<usize>()? >= HEAD + size_of::<*mut u8>();
        // Where objects are not counted one by one, or in a way of their own, nobody can tell whether one is kept.
        let counted = match class.py().import("sys")?.getattr_opt("_is_gil_enabled")? {
            Some(ask) => ask.call0()?.extract()?,
            None => true,
        };
        // SAFETY: the object is large enough for the word, and alive.
        let refills = counted && has_word && unsafe { data(sample.as_ptr()) } == address;
        let has_dict = sample.get_type().getattr("__dictoffset__")?.extract::<isize>()? != 0;
        Ok(Self { class: class.clone().unbind(), size, has_dict, refills })
    }

    /// Whether objects can be filled again; so it is where they keep the address of their bytes behind their head.
    pub(crate) fn refills(&self) -> bool {
        self.refills
    }

    /// Make an object of the bytes at `address`.
    pub(crate) fn copy(&self, py: Python<'_>, address: usize) -> PyResult<Copied> {
        let object = self.class.bind(py).call0()?;
        let (data, size) = buffer(&object)?;
        // SAFETY: the object has so many bytes there, and nobody else has the object yet.
        unsafe { ptr::copy_nonoverlapping(address as *const u8, data, size.min(self.size)) };
        Ok(Copied(object.unbind()))
    }

    /// Fill an object with the bytes at `address`, unless anybody else has it or it is more than its bytes.
    #[inline]
    pub(crate) fn refill(&self, _py: Python<'_>, copied: &Copied, address: usize) -> bool {
        let object = copied.0.as_ptr();
        // SAFETY: a live object of this class, which has its bytes where `new` looked, at least `size` of them
        // (`ctypes.resize` moves them, and never makes them fewer); the interpreter is attached, so that an object with
        // one reference, ours, cannot be given away meanwhile.
        unsafe {
            if ffi::Py_REFCNT(object) != 1 {
                return false;
            }
            if self.has_dict {
                let members = ffi::PyObject_GenericGetDict(object, ptr::null_mut());
                if members.is_null() {
                    ffi::PyErr_Clear();
                    return false;
                }
                let count = ffi::PyDict_Size(members);
                ffi::Py_DECREF(members);
                if count != 0 {
                    return false;
                }
            }
            ptr::copy_nonoverlapping(address as *const u8, data(object), self.size);
        }
        true
    }
}

impl fmt::Display for CopiedClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Python::attach(|py| write!(formatter, "{}", self.class.bind(py)))
    }
}

const HEAD: usize = size_of::<ffi::PyObject>();

/// Return the word behind an object's head.
///
/// # Safety
///
/// The object is alive and has one.
unsafe fn data(object: *mut ffi::PyObject) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { *object.add(1).cast::<*mut u8>() }
}

/// Return where an object has its bytes, and how many.
fn buffer(object: &Bound<'_, PyAny>) -> PyResult<(*mut u8, usize)> {
    // SAFETY: the view is released before it goes; the object outlives what is done with the address.
    unsafe {
        let mut view = std::mem::zeroed::<ffi::Py_buffer>();
        if ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut view, ffi::PyBUF_WRITABLE) != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        let found = (view.buf.cast::<u8>(), usize::try_from(view.len).unwrap_or(0));
        ffi::PyBuffer_Release(&raw mut view);
        Ok(found)
    }
}
