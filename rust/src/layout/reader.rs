//! Layouts out of BTF, which may be corrupt: what comes out is finite, and every field lies within its record.

use super::{Field, Layout};
use crate::kernel::btf::{Btf, BtfError, Type, kind};

/// Structs in corrupt BTF may contain themselves, or far too much.
const MAX_DEPTH: usize = 16;
const MAX_PARTS: usize = 1 << 16;

pub(super) struct Reader<'a> {
    btf: &'a Btf,
    parts: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(btf: &'a Btf) -> Self {
        Self { btf, parts: 0 }
    }

    pub(super) fn read(&mut self, id: u32) -> Result<Layout, BtfError> {
        self.resolve(id, 0)
    }

    fn resolve(&mut self, id: u32, depth: usize) -> Result<Layout, BtfError> {
        self.count(depth)?;
        let (_, found) = self.btf.resolve(id)?;
        let size = found.size_or_type as usize;
        let sign = |signed: bool| if signed { 'i' } else { 'u' };
        Ok(match found.kind() {
            kind::INT if found.is_bool() && size == 1 => Layout::Number('b', 1),
            kind::INT if matches!(size, 1 | 2 | 4 | 8) => Layout::Number(sign(found.is_signed()), size),
            kind::INT if size == 16 => Layout::Wide(found.is_signed()),
            kind::FLOAT if matches!(size, 4 | 8) => Layout::Number('f', size),
            kind::ENUM | kind::ENUM64 if matches!(size, 1 | 2 | 4 | 8) => {
                Layout::Number(sign(self.btf.is_signed_enumeration(&found)), size)
            }
            kind::PTR => Layout::Number('u', 8),
            kind::ARRAY => {
                let (element, count) = found.array();
                self.array(element, count as usize, depth)?
            }
            kind::STRUCT | kind::UNION => self.record(&found, depth)?,
            _ => Layout::Opaque(size),
        })
    }

    fn array(&mut self, element: u32, count: usize, depth: usize) -> Result<Layout, BtfError> {
        if self.is_char(element)? {
            return Ok(Layout::Text(count));
        }
        let element = self.resolve(element, depth + 1)?;
        if element.size().checked_mul(count).is_none_or(|size| size > i32::MAX as usize) {
            return Err(BtfError::Outside);
        }
        // However many, they have no bytes.
        Ok(if element.size() == 0 { Layout::Opaque(0) } else { Layout::Array(Box::new(element), count) })
    }

    fn record(&mut self, found: &Type<'_>, depth: usize) -> Result<Layout, BtfError> {
        let size = found.size_or_type as usize;
        let mut fields = Vec::with_capacity(found.len());
        self.members(found, depth, 0, &mut fields)?;
        let is_within = |field: &Field| field.offset.checked_add(field.layout.size()).is_some_and(|end| end <= size);
        if fields.iter().all(is_within) { Ok(Layout::Record(fields, size)) } else { Err(BtfError::Outside) }
    }

    /// Add the members of a record that begins at that bit of what `fields` are of.
    fn members(
        &mut self,
        found: &Type<'_>,
        depth: usize,
        start: usize,
        fields: &mut Vec<Field>,
    ) -> Result<(), BtfError> {
        self.count(depth)?;
        for member in found.members() {
            let at = start + member.bit_offset as usize;
            let name = self.btf.string(member.name_offset);
            if name.is_empty() {
                let (_, inner) = self.btf.resolve(member.type_id)?;
                // Anything else without a name is padding.
                if inner.is_record() {
                    self.members(&inner, depth + 1, at, fields)?;
                }
                continue;
            }
            let layout = self.resolve(member.type_id, depth + 1)?;
            let layout = match member.bits as usize {
                0 if at.is_multiple_of(8) => layout,
                0 => return Err(BtfError::Outside),
                width => layout.bits(at % 8, width).ok_or(BtfError::Outside)?,
            };
            fields.push(Field { name: String::from_utf8_lossy(name).into_owned(), offset: at / 8, layout });
        }
        Ok(())
    }

    fn count(&mut self, depth: usize) -> Result<(), BtfError> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS { Err(BtfError::Endless) } else { Ok(()) }
    }

    /// Whether a type is C's `char` or Rust's `u8`: arrays of those are text in everything rtrace reads.
    fn is_char(&self, id: u32) -> Result<bool, BtfError> {
        let (_, found) = self.btf.resolve(id)?;
        Ok(found.kind() == kind::INT && matches!(self.btf.string(found.name_offset), b"char" | b"u8"))
    }
}
