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

/// Whether one of the kernel's enumerations has a value of this name; ``None`` if the kernel has no such type.
#[pyfunction]
pub(crate) fn enum_has_value(py: Python<'_>, name: &str, value: &str) -> PyResult<Option<bool>> {
    Ok(py.detach(|| ask(|btf| Ok(has_value(btf, name, value))))?)
}

fn ask(question: impl FnOnce(&Btf) -> Result<Option<bool>, BtfError>) -> Result<Option<bool>, Error> {
    let answer = Btf::of_kernel().and_then(|btf| question(&btf));
    answer.map_err(|source| Error::Btf { of: "vmlinux".into(), source })
}

fn has_member(btf: &Btf, name: &str, member: &str) -> Result<Option<bool>, BtfError> {
    let found = btf.find(kind::STRUCT, name).or_else(|| btf.find(kind::UNION, name));
    found.map(|(_, found)| is_within(btf, &found, member.as_bytes(), 0)).transpose()
}

fn is_within(btf: &Btf, of: &Type<'_>, member: &[u8], level: usize) -> Result<bool, BtfError> {
    for candidate in of.members() {
        let name = btf.string(candidate.name_offset);
        if name == member {
            return Ok(true);
        }
        if name.is_empty() && level < MOST_LEVELS {
            let (_, part) = btf.resolve(candidate.type_id)?;
            if matches!(part.kind(), kind::STRUCT | kind::UNION) && is_within(btf, &part, member, level + 1)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn has_value(btf: &Btf, name: &str, value: &str) -> Option<bool> {
    let (_, found) = btf.find(kind::ENUM, name).or_else(|| btf.find(kind::ENUM64, name))?;
    let mut values = found.enumerators(false);
    Some(values.any(|candidate| btf.string(candidate.name_offset) == value.as_bytes()))
}
