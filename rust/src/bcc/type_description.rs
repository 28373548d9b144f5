//! What the keys, values and events of a map are, for Python to build `ctypes` classes from.
//!
//! The object's own BTF says it all: names, offsets in bits, values of enumerations. Qualifiers and typedefs are looked
//! through, a typedef gives its name to what has none. Pointers are numbers to whoever reads records, so they are not
//! followed, and a list's node ends where it points to the next.
//!
//! Events have no type that the kernel knows; wherever a program sends one, the dialect leaves a variable
//! `__rtrace_event_NAME` that points to it.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{
    error::Error,
    kernel::btf::{Btf, BtfError, Member, Type, kind},
    layout::Layout,
};

/// In front of the map's name, the variable that tells the type of its events.
const EVENT_PREFIX: &str = "__rtrace_event_";

/// Behind the map's name, the type that the dialect gives to the counts of a histogram.
const HISTOGRAM_SUFFIX: &[u8] = b"__histogram_t";

/// Deeper, or with more parts, a type is corrupt: it contains itself.
const MAX_DEPTH: usize = 64;
const MAX_PARTS: usize = 1 << 20;

/// The types of a map in its object's BTF; their numbers are 0 where it has none.
#[derive(Clone, Default)]
pub(crate) struct MapTypes {
    btf: Option<Arc<Btf>>,
    key: u32,
    value: u32,
    event: u32,
}

impl MapTypes {
    /// Find out what `map` holds, given what it says itself of its keys and values.
    pub(crate) fn of(map: &str, definition: &aya_obj::Map, btf: Option<&Arc<Btf>>) -> Self {
        let (Some(btf), aya_obj::Map::Btf(definition)) = (btf, definition) else { return Self::default() };
        // To the user, the dialect's maps have no appendix.
        let name = format!("{EVENT_PREFIX}{}", map.strip_suffix("__map").unwrap_or(map));
        // A variable inside a function is called `FUNCTION.NAME` by clang, and `FUNCTION.NAME.2` if there are more.
        let is_it = |found: &Type<'_>| {
            btf.string(found.name_offset).split(|byte| *byte == b'.').any(|part| part == name.as_bytes())
        };
        let target = |variable: Type<'_>| {
            let (_, pointer) = btf.resolve(variable.size_or_type).ok()?;
            let target = (pointer.kind() == kind::PTR).then_some(pointer.size_or_type)?;
            btf.resolve(target).is_ok_and(|(_, found)| found.kind() != kind::FWD).then_some(target)
        };
        let event = || btf.of_kind(kind::VAR).filter(is_it).find_map(target);
        let (key, value) = (definition.def.btf_key_type_id, definition.def.btf_value_type_id);
        Self { btf: Some(Arc::clone(btf)), key, value, event: event().unwrap_or(0) }
    }

    /// Return how numpy is to read the events, where their type is known.
    pub(crate) fn event_layout(&self) -> Option<Layout> {
        let btf = self.btf.as_deref().filter(|_| self.event != 0)?;
        Layout::of_type(btf, self.event).ok()
    }

    /// Whether the dialect declared the map as a histogram: counts by slot.
    pub(crate) fn is_histogram(&self) -> bool {
        let Some(btf) = self.btf.as_deref() else { return false };
        let mut id = self.value;
        // As many names as a type can have on the way, so that a loop in corrupt BTF ends.
        for _ in 0..MAX_DEPTH {
            match btf.get(id) {
                Ok(found) if found.kind() == kind::TYPEDEF => {
                    if btf.string(found.name_offset).ends_with(HISTOGRAM_SUFFIX) {
                        return true;
                    }
                    id = found.size_or_type;
                }
                _ => return false,
            }
        }
        false
    }

    /// Return the descriptions for Python: a dict of `key`, `value` and `event`.
    pub(crate) fn describe<'py>(&self, py: Python<'py>, object: &str) -> PyResult<Bound<'py, PyDict>> {
        let described = PyDict::new(py);
        for (part, id) in [("key", self.key), ("value", self.value), ("event", self.event)] {
            let description = self.btf.as_deref().filter(|_| id != 0).map(|btf| Description::of(btf, id)).transpose();
            let description = description.map_err(|source| Error::Btf { of: object.to_owned(), source })?;
            described.set_item(part, description.map(|description| description.to_python(py)).transpose()?)?;
        }
        Ok(described)
    }
}

impl fmt::Debug for MapTypes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, event, .. } = self;
        formatter
            .debug_struct("MapTypes")
            .field("key", key)
            .field("value", value)
            .field("event", event)
            .finish_non_exhaustive()
    }
}

/// What the bytes of a type mean.
#[derive(Debug, PartialEq)]
pub(crate) enum Description {
    Int { name: String, size: u32, signed: bool, is_bool: bool },
    Float { name: String, size: u32 },
    Pointer { name: String },
    Array { element: Box<Description>, count: u32 },
    Enum { name: String, size: u32, signed: bool, values: Vec<(String, i128)> },
    Record { name: String, size: u32, is_union: bool, members: Vec<Part> },
}

/// A member of a struct or union.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    name: String,
    /// In bits.
    offset: u32,
    /// Width of a bit field, 0 otherwise.
    bits: u32,
    description: Description,
}

impl Description {
    /// Describe a type.
    pub(crate) fn of(btf: &Btf, id: u32) -> Result<Self, BtfError> {
        Reader { btf, parts: 0 }.describe(id, 0)
    }

    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let described = PyDict::new(py);
        let head = |kind: &str, name: &str, size: u32| -> PyResult<()> {
            described.set_item("kind", kind)?;
            described.set_item("name", name)?;
            described.set_item("size", size)
        };
        match self {
            Self::Int { name, size, signed, is_bool } => {
                head("int", name, *size)?;
                described.set_item("signed", signed)?;
                described.set_item("char", name == "char")?;
                described.set_item("bool", is_bool)?;
            }
            Self::Float { name, size } => head("float", name, *size)?,
            Self::Pointer { name } => head("pointer", name, 8)?,
            Self::Array { element, count } => {
                described.set_item("kind", "array")?;
                described.set_item("element", element.to_python(py)?)?;
                described.set_item("count", count)?;
            }
            Self::Enum { name, size, signed, values } => {
                head("enum", name, *size)?;
                described.set_item("signed", signed)?;
                let names = PyDict::new(py);
                for (name, value) in values {
                    names.set_item(name, value)?;
                }
                described.set_item("values", names)?;
            }
            Self::Record { name, size, is_union, members } => {
                head(if *is_union { "union" } else { "struct" }, name, *size)?;
                let parts = members.iter().map(|part| part.to_python(py)).collect::<PyResult<Vec<_>>>()?;
                described.set_item("members", PyList::new(py, parts)?)?;
            }
        }
        Ok(described)
    }
}

impl Part {
    fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let described = PyDict::new(py);
        described.set_item("name", &self.name)?;
        described.set_item("offset", self.offset)?;
        described.set_item("bits", self.bits)?;
        described.set_item("type", self.description.to_python(py)?)?;
        Ok(described)
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    parts: usize,
}

impl Reader<'_> {
    fn describe(&mut self, id: u32, depth: usize) -> Result<Description, BtfError> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return Err(BtfError::Endless);
        }
        let (resolved, found) = self.btf.resolve(id)?;
        let size = found.size_or_type;
        let name = || self.name(id);
        Ok(match found.kind() {
            kind::INT => Description::Int {
                name: self.text(found.name_offset),
                size,
                signed: found.is_signed(),
                is_bool: found.is_bool(),
            },
            kind::FLOAT => Description::Float { name: self.text(found.name_offset), size },
            kind::PTR => Description::Pointer { name: self.name(size) },
            kind::ARRAY => {
                let (element, count) = found.array();
                Description::Array { element: Box::new(self.describe(element, depth + 1)?), count }
            }
            kind::ENUM | kind::ENUM64 => self.enumeration(name(), &found),
            kind::STRUCT | kind::UNION => {
                let name = name();
                let mut members = Vec::new();
                for member in found.members() {
                    self.btf.check_member(&found, &member)?;
                    members.push(self.part(&member, depth)?);
                }
                Description::Record { name, size, is_union: found.kind() == kind::UNION, members }
            }
            _ => return Err(BtfError::NoType(resolved)),
        })
    }

    fn part(&mut self, member: &Member, depth: usize) -> Result<Part, BtfError> {
        Ok(Part {
            name: self.text(member.name_offset),
            offset: member.bit_offset,
            bits: member.bits,
            description: self.describe(member.type_id, depth + 1)?,
        })
    }

    fn enumeration(&mut self, name: String, found: &Type<'_>) -> Description {
        let tells_signs = self.btf.tells_signs();
        let values: Vec<_> = found
            .enumerators(found.kind_flag() || !tells_signs)
            .map(|enumerator| (self.text(enumerator.name_offset), enumerator.value))
            .collect();
        self.parts += values.len();
        let signed = self.btf.is_signed_enumeration(found);
        Description::Enum { name, size: found.size_or_type, signed, values }
    }

    /// Return the tag of a type or, for one without, the last typedef's name on the way to it.
    fn name(&self, mut id: u32) -> String {
        let mut name = String::new();
        for _ in 0..MAX_DEPTH {
            let Ok(found) = self.btf.get(id) else { break };
            let own = self.text(found.name_offset);
            match found.kind() {
                kind::TYPEDEF => name = own,
                kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {}
                _ if own.is_empty() => break,
                _ => return own,
            }
            id = found.size_or_type;
        }
        name
    }

    fn text(&self, offset: u32) -> String {
        String::from_utf8_lossy(self.btf.string(offset)).into_owned()
    }
}
