//! Yes-or-no questions about the running kernel's types, as scripts ask them before they choose their C.

use pyo3::prelude::*;

use crate::{
    error::Error,
    kernel::btf::{Btf, BtfError, Type, kind},
};

/// Structs within structs without a name; corrupt BTF may have loops.
const MOST_LEVELS: usize = 16;

/// Whether one of the kernel's structs or unions has a member, those of its anonymous parts included; ``None`` if the
/// kernel has no such type.
#[pyfunction]
pub(crate) fn struct_has_member(py: Python<'_>, name: &str, member: &str) -> PyResult<Option<bool>> {
    Ok(py.detach(|| ask(|btf| has_member(btf, name, member)))?)
}

/// Where a member of one of the kernel's structs or unions lies: its first bit, and how many it has; ``None`` if the
/// kernel has no such member.
#[pyfunction]
pub(crate) fn struct_member_bits(py: Python<'_>, name: &str, member: &str) -> PyResult<Option<(u64, u64)>> {
    Ok(py.detach(|| {
        ask(|btf| find(btf, name).map_or(Ok(None), |found| find_member(btf, &found, member.as_bytes(), 0)))
    })?)
}

/// Whether one of the kernel's enumerations has a value of this name; ``None`` if the kernel has no such type.
#[pyfunction]
pub(crate) fn enum_has_value(py: Python<'_>, name: &str, value: &str) -> PyResult<Option<bool>> {
    Ok(py.detach(|| ask(|btf| Ok(has_value(btf, name, value))))?)
}

fn ask<Answer>(question: impl FnOnce(&Btf) -> Result<Answer, BtfError>) -> Result<Answer, Error> {
    let answer = Btf::of_kernel().and_then(|btf| question(&btf));
    answer.map_err(|source| Error::Btf { of: "vmlinux".into(), source })
}

fn has_member(btf: &Btf, name: &str, member: &str) -> Result<Option<bool>, BtfError> {
    let has = |found: Type<'_>| Ok(find_member(btf, &found, member.as_bytes(), 0)?.is_some());
    find(btf, name).map(has).transpose()
}

fn find<'btf>(btf: &'btf Btf, name: &str) -> Option<Type<'btf>> {
    let (_, found) = btf.find(kind::STRUCT, name).or_else(|| btf.find(kind::UNION, name))?;
    Some(found)
}

/// Find a member's first bit and its number of bits.
fn find_member(btf: &Btf, of: &Type<'_>, member: &[u8], level: usize) -> Result<Option<(u64, u64)>, BtfError> {
    for candidate in of.members() {
        let name = btf.string(candidate.name_offset);
        let first = u64::from(candidate.bit_offset);
        if name == member {
            let bits = match candidate.bits {
                0 => btf.size_of(candidate.type_id)?.saturating_mul(8),
                bits => bits.into(),
            };
            return Ok(Some((first, bits)));
        }
        if name.is_empty() && level < MOST_LEVELS {
            let (_, part) = btf.resolve(candidate.type_id)?;
            if part.is_record()
                && let Some((within, bits)) = find_member(btf, &part, member, level + 1)?
            {
                return Ok(Some((first + within, bits)));
            }
        }
    }
    Ok(None)
}

fn has_value(btf: &Btf, name: &str, value: &str) -> Option<bool> {
    let (_, found) = btf.find(kind::ENUM, name).or_else(|| btf.find(kind::ENUM64, name))?;
    let mut values = found.enumerators(false);
    Some(values.any(|candidate| btf.string(candidate.name_offset) == value.as_bytes()))
}
