//! From a BTF type to the numpy dtype of its bytes.
//!
//! Members of anonymous structs and unions are members of what they stand in, so that fields may overlap.

mod bit_fields;
mod reader;
#[cfg(test)]
mod tests;

use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyDict, PyList},
};

use crate::kernel::btf::{Btf, BtfError};

/// How bytes are to be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layout {
    /// A number: numpy's letter for it (`u`, `i`, `f`, `b` for a truth value) and its size in bytes.
    Number(char, usize),
    /// A number of 128 bits, and whether it is signed. numpy has none: it reads two of 64, the low half first.
    Wide(bool),
    /// Bits of a struct: how many to skip in the first byte, how many they are, and the number that they are read as.
    Bits { skip: usize, width: usize, number: Box<Layout> },
    /// Text of at most so many bytes, ended by a NUL.
    Text(usize),
    /// Bytes without a known meaning.
    Opaque(usize),
    /// So many of the same.
    Array(Box<Layout>, usize),
    /// Fields at offsets, and the size of the whole.
    Record(Vec<Field>, usize),
}

/// What numpy reads half of a number of 128 bits as.
const HALF: Layout = Layout::Number('u', 8);

/// A named part of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) layout: Layout,
}

impl Layout {
    /// Return the layout of a BTF type.
    pub(crate) fn of_type(btf: &Btf, id: u32) -> Result<Self, BtfError> {
        btf.check_size(id)?;
        reader::Reader::new(btf).read(id)
    }

    /// Return the layout of `size` bytes about which nothing else is known.
    pub(crate) fn of_size(size: usize) -> Self {
        if matches!(size, 1 | 2 | 4 | 8) { Self::Number('u', size) } else { Self::Opaque(size) }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Number(_, size) | Self::Text(size) | Self::Opaque(size) | Self::Record(_, size) => *size,
            Self::Wide(_) => 16,
            Self::Bits { skip, width, .. } => (skip + width).div_ceil(8),
            Self::Array(element, count) => element.size().saturating_mul(*count),
        }
    }

    /// Return what arrays are made of, and their dimensions; of anything else, itself.
    pub(crate) fn split_array(&self) -> (&Self, Vec<usize>) {
        let (mut element, mut dimensions) = (self, Vec::new());
        while let Self::Array(inner, count) = element {
            dimensions.push(*count);
            element = inner;
        }
        if let Self::Wide(_) = element {
            dimensions.push(2);
            element = &HALF;
        }
        (element, dimensions)
    }

    /// Return what `numpy.dtype` takes for it; bit fields are columns of their own, as [`Layout::unpacked`] places them.
    fn specification<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Number(letter, size) => format!("={letter}{size}").into_bound_py_any(py),
            Self::Text(size) => format!("S{size}").into_bound_py_any(py),
            Self::Opaque(size) => format!("V{size}").into_bound_py_any(py),
            Self::Wide(_) => (HALF.specification(py)?, (2,)).into_bound_py_any(py),
            Self::Bits { number, .. } => number.specification(py),
            Self::Array(element, count) => (element.specification(py)?, (count,)).into_bound_py_any(py),
            Self::Record(fields, size) => {
                let record = PyDict::new(py);
                let formats = fields.iter().map(|field| field.layout.specification(py));
                record.set_item("names", fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>())?;
                record.set_item("formats", PyList::new(py, formats.collect::<PyResult<Vec<_>>>()?)?)?;
                record.set_item("offsets", fields.iter().map(|field| field.offset).collect::<Vec<_>>())?;
                record.set_item("itemsize", size)?;
                Ok(record.into_any())
            }
        }
    }

    /// Return the numpy dtype of its arrays; imports numpy.
    pub(crate) fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("numpy")?.getattr("dtype")?.call1((self.unpacked().specification(py)?,))
    }
}
