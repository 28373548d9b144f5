//! The values of a key added up over the CPUs, as Python's own integers.

use pyo3::{prelude::*, types::PyDict};

use super::shape::Shape;
use crate::{
    error::Error,
    layout::{Field, Layout},
};

/// Add up the values of one key, field by field: a number, or the numbers of an array one by one.
pub(crate) fn add_up<'py>(
    py: Python<'py>,
    values: &[u8],
    shape: Shape,
    layout: &Layout,
    map: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let refused = || Error::Type(format!("values of `{map}` are not structs of unsigned numbers"));
    let Layout::Record(fields, _) = layout else { return Err(refused().into()) };
    let sums = PyDict::new(py);
    for Field { name, offset, layout } in fields {
        match layout {
            Layout::Number('u', size) => sums.set_item(name, sum(values, shape, *offset, *size))?,
            Layout::Array(element, count) if matches!(**element, Layout::Number('u', _)) => {
                let size = element.size();
                let column = (0..*count).map(|index| sum(values, shape, offset + index * size, size));
                sums.set_item(name, column.collect::<Vec<_>>())?;
            }
            _ => return Err(refused().into()),
        }
    }
    Ok(sums)
}

/// Add up the numbers at one place in the values of all CPUs; they wrap around as the kernel's own do.
fn sum(values: &[u8], shape: Shape, offset: usize, size: usize) -> u64 {
    let number = |value: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&value[offset..offset + size]);
        u64::from_le_bytes(bytes)
    };
    values.chunks_exact(shape.stride()).map(number).fold(0, u64::wrapping_add)
}
