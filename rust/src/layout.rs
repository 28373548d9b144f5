//! From a BTF type to the numpy dtype of its bytes.

use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyDict, PyList},
};

use crate::kernel::btf::{Btf, BtfError, Type, kind};

/// How bytes are to be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layout {
    /// A number: numpy's letter for it (`u`, `i`, `f`) and its size in bytes.
    Number(char, usize),
    /// Text of at most so many bytes, ended by a NUL.
    Text(usize),
    /// Bytes without a known meaning.
    Opaque(usize),
    /// So many of the same.
    Array(Box<Layout>, usize),
    /// Fields at offsets, and the size of the whole.
    Record(Vec<Field>, usize),
}

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
        Self::resolve(btf, id, 0)
    }

    fn resolve(btf: &Btf, id: u32, depth: usize) -> Result<Self, BtfError> {
        let (id, found) = btf.resolve(id)?;
        // Structs in corrupt BTF may contain themselves.
        if depth > 16 {
            return Err(BtfError::NoType(id));
        }
        let size = found.size_or_type as usize;
        Ok(match found.kind() {
            kind::INT if matches!(size, 1 | 2 | 4 | 8) => Self::Number(if found.is_signed() { 'i' } else { 'u' }, size),
            kind::FLOAT if matches!(size, 4 | 8) => Self::Number('f', size),
            kind::ENUM if matches!(size, 1 | 2 | 4 | 8) => Self::Number('i', size),
            kind::ENUM64 if size == 8 => Self::Number('u', size),
            kind::PTR => Self::Number('u', 8),
            kind::ARRAY => {
                let (element, count) = found.array();
                let count = count as usize;
                if is_char(btf, element)? {
                    Self::Text(count)
                } else {
                    Self::Array(Box::new(Self::resolve(btf, element, depth + 1)?), count)
                }
            }
            kind::STRUCT => Self::of_struct(btf, &found, depth)?,
            _ => Self::Opaque(size),
        })
    }

    fn of_struct(btf: &Btf, found: &Type<'_>, depth: usize) -> Result<Self, BtfError> {
        let mut fields = Vec::with_capacity(found.len());
        for member in found.members() {
            let name = String::from_utf8_lossy(btf.string(member.name_offset)).into_owned();
            // numpy has no fields below a byte; what has no name has no meaning to a reader.
            if member.bits != 0 || member.bit_offset % 8 != 0 || name.is_empty() {
                continue;
            }
            btf.check_member(found, &member)?;
            let layout = Self::resolve(btf, member.type_id, depth + 1)?;
            fields.push(Field { name, offset: member.bit_offset as usize / 8, layout });
        }
        Ok(Self::Record(fields, found.size_or_type as usize))
    }

    /// Return the layout of `size` bytes about which nothing else is known.
    pub(crate) fn of_size(size: usize) -> Self {
        if matches!(size, 1 | 2 | 4 | 8) { Self::Number('u', size) } else { Self::Opaque(size) }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Number(_, size) | Self::Text(size) | Self::Opaque(size) | Self::Record(_, size) => *size,
            Self::Array(element, count) => element.size() * count,
        }
    }

    /// Return what arrays are made of, and their dimensions; of anything else, itself.
    pub(crate) fn split_array(&self) -> (&Self, Vec<usize>) {
        let (mut element, mut dimensions) = (self, Vec::new());
        while let Self::Array(inner, count) = element {
            dimensions.push(*count);
            element = inner;
        }
        (element, dimensions)
    }

    /// Return what `numpy.dtype` takes for it.
    fn specification<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Number(letter, size) => format!("={letter}{size}").into_bound_py_any(py),
            Self::Text(size) => format!("S{size}").into_bound_py_any(py),
            Self::Opaque(size) => format!("V{size}").into_bound_py_any(py),
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

    /// Return the numpy dtype; imports numpy.
    pub(crate) fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("numpy")?.getattr("dtype")?.call1((self.specification(py)?,))
    }
}

/// Whether a type is C's `char` or Rust's `u8`: arrays of those are text in everything rtrace reads.
fn is_char(btf: &Btf, id: u32) -> Result<bool, BtfError> {
    let (_, found) = btf.resolve(id)?;
    Ok(found.kind() == kind::INT && matches!(btf.string(found.name_offset), b"char" | b"u8"))
}
