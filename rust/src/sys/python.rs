//! Calls into the interpreter that are too frequent for anything but its own functions.

use std::{
    ffi::CStr,
    fmt,
    panic::{self, AssertUnwindSafe},
    ptr,
    sync::OnceLock,
};

use pyo3::{Borrowed, PyClass, exceptions::PyTypeError, ffi, panic::PanicException, prelude::*, types::PyType};

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

/// A class with a method that takes an address, such as one that makes an event of what is there.
///
/// The interpreter calls that without a look at its arguments, as it does with methods that are declared to take one
/// object; those of `PyO3` are declared to take any number by any name, and parsing them takes longer than the rest.
pub(crate) trait OfAddress: PyClass {
    /// The method's name, and its docstring with the signature that `help` shows.
    const METHOD: &'static CStr;
    const DOCSTRING: &'static CStr;

    /// What the method does.
    fn call<'py>(slf: &Bound<'py, Self>, address: usize) -> PyResult<Bound<'py, PyAny>>;

    /// The method, in the interpreter's words. Not to be replaced.
    const DEFINITION: &'static ffi::PyMethodDef = &ffi::PyMethodDef {
        ml_name: Self::METHOD.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: called_with_address::<Self> },
        ml_flags: ffi::METH_O,
        ml_doc: Self::DOCSTRING.as_ptr(),
    };
}

/// Give a class its method that takes an address: `T`, or one that is derived from it.
///
/// Such a class wants one of its own: the interpreter takes its shortest way only where an object is of just the class
/// that the method is of.
pub(crate) fn add_method_of_address<T: OfAddress>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    if !class.is_subclass_of::<T>()? {
        return Err(PyTypeError::new_err(format!("{class} is not derived from {}", py.get_type::<T>())));
    }
    let definition = ptr::from_ref(T::DEFINITION).cast_mut();
    // SAFETY: a live class whose objects are a `T`, and a definition that stays and that nobody writes to.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition)) }?;
    class.setattr(T::METHOD.to_string_lossy(), method)
}

unsafe extern "C" fn called_with_address<T: OfAddress>(
    slf: *mut ffi::PyObject,
    address: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: live objects; the interpreter has made sure that the first is of the method's class.
        let (slf, address) = unsafe {
            let slf = Borrowed::from_ptr(py, slf).cast_unchecked::<T>();
            (slf, ffi::PyLong_AsSize_t(address))
        };
        let failed = if address == usize::MAX { PyErr::take(py) } else { None };
        let called = match failed {
            Some(error) => Err(error),
            None => panic::catch_unwind(AssertUnwindSafe(|| T::call(&slf, address)))
                .unwrap_or_else(|_| Err(PanicException::new_err("panic from Rust code"))),
        };
        called.map_or_else(
            |error| {
                error.restore(py);
                ptr::null_mut()
            },
            Bound::into_ptr,
        )
    })
}

/// A class of `ctypes` whose objects are made of bytes at an address.
///
/// The address comes from Python, as that of `ctypes.string_at` does: who passes a wrong one reads what is there.
pub(crate) struct CopiedClass {
    class: Py<PyAny>,
    /// Bytes of an object.
    size: usize,
    refills: bool,
}

/// An object of such a class.
pub(crate) struct Copied {
    object: Py<PyAny>,
    /// Where it has the members that scripts add, if they can.
    members: Option<Py<PyAny>>,
}

impl Copied {
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.object.bind(py).clone()
    }

    pub(crate) fn into_object(self, py: Python<'_>) -> Bound<'_, PyAny> {
        self.object.into_bound(py)
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
        Ok(Self { class: class.clone().unbind(), size, refills })
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
        let members = object.getattr_opt("__dict__")?.map(Bound::unbind);
        Ok(Copied { object: object.unbind(), members })
    }

    /// Fill an object with the bytes at `address`, unless anybody else has it or it is more than its bytes.
    #[inline]
    pub(crate) fn refill(&self, _py: Python<'_>, copied: &Copied, address: usize) -> bool {
        let object = copied.object.as_ptr();
        // SAFETY: a live object of this class, which has its bytes where `new` looked, at least `size` of them
        // (`ctypes.resize` moves them, and never makes them fewer); the interpreter is attached, so that an object with
        // one reference, ours, cannot be given away meanwhile.
        unsafe {
            if ffi::Py_REFCNT(object) != 1 {
                return false;
            }
            if let Some(members) = &copied.members {
                let members = members.as_ptr();
                // Ours and the object's: nobody has kept them, and the object has no others instead.
                if ffi::Py_REFCNT(members) != 2 || ffi::PyDict_Size(members) != 0 {
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
