//! Bodies of structs and unions, laid out exactly as BTF says.
//!
//! BTF knows offsets and sizes, not attributes. A member that cannot be where it is by the rules of C gets `packed`, and
//! alone: the others keep their alignment, so that clang reads them in one go. What lies between members more than the
//! rules put there becomes unnamed bit fields. Alignment beyond the natural needs no attribute, since the gaps it
//! makes are gaps as any other.

use std::fmt::Write as _;

use super::{
    sources::Id,
    writer::{Need, Writer, clean},
};
use crate::kernel::btf::{BtfError, Member, Type, kind};

/// Gaps of more bytes are arrays: bit fields have 8 bytes at most.
const MAX_BIT_FIELD_GAP: u64 = 64;

impl Writer<'_> {
    /// Return the braces of a struct or union; with `packed`, such that it can be at any address.
    pub(super) fn body(&mut self, id: Id, found: &Type<'_>, packed: bool) -> Result<String, BtfError> {
        self.enter()?;
        let is_union = found.kind() == kind::UNION;
        let size = u64::from(found.size_or_type) * 8;
        let mut body = String::from("{\n");
        // Bits that are laid out, and the alignment that results.
        let (mut end, mut alignment) = (0, 8);
        for member in found.members() {
            self.count()?;
            let type_id = self.sources.refer(id, member.type_id);
            let natural = self.alignment(type_id)?;
            let loose = packed || !fits(found, &member, natural);
            let offset = u64::from(member.bit_offset);
            let unit = if loose || member.bits != 0 { 1 } else { u64::from(natural) * 8 };
            if is_union {
                end = 0;
            }
            if offset < end || (is_union && offset != 0) {
                // Members of structs do not overlap, except in corrupt BTF.
                continue;
            }
            let unit = if loose && member.bits == 0 { 8 } else { unit };
            if end.next_multiple_of(unit) != offset {
                pad(&mut body, end, offset);
            }
            if !loose {
                alignment = alignment.max(u64::from(natural) * 8);
            }
            let Some(width) = self.member(&mut body, id, &member, type_id, loose)? else { continue };
            end = offset + width;
        }
        if is_union {
            let widest = self.widest(id, found)?;
            if widest.next_multiple_of(alignment) < size {
                let _ = writeln!(body, "char ___size[{}];", size / 8);
            }
        } else if end.next_multiple_of(alignment) < size {
            pad(&mut body, end, size);
        }
        body.push('}');
        self.leave();
        Ok(body)
    }

    /// Write a member and return its width in bits; nothing for one without a meaning.
    fn member(
        &mut self,
        body: &mut String,
        of: Id,
        member: &Member,
        type_id: Id,
        loose: bool,
    ) -> Result<Option<u64>, BtfError> {
        let name = self.sources.string(of, member.name_offset);
        let width = if member.bits == 0 { self.size(type_id)? * 8 } else { u64::from(member.bits) };
        if name.is_empty() {
            let (record_id, record) = self.sources.resolve(type_id)?;
            if !record.is_record() {
                return Ok(None);
            }
            // Its members are reached as if they were this record's own, whether it has a tag or not.
            let inner = self.body(record_id, &record, loose)?;
            let _ = writeln!(body, "{} {inner};", super::writer::keyword(&record));
            return Ok(Some(width));
        }
        let walked = str::from_utf8(name).is_ok_and(|name| self.request.identifiers.contains(name));
        let mut declarator = clean(name);
        if member.bits != 0 {
            let _ = write!(declarator, ": {}", member.bits);
        }
        let need = if walked { Need::Walked } else { Need::Complete };
        let declaration = self.declaration(type_id, declarator, need)?;
        let attribute = if loose { " __attribute__((packed))" } else { "" };
        let _ = writeln!(body, "{declaration}{attribute};");
        Ok(Some(width))
    }

    /// Return the alignment that the written record has.
    pub(super) fn record_alignment(&mut self, id: Id, found: &Type<'_>) -> Result<u32, BtfError> {
        let mut alignment = 1;
        for member in found.members() {
            let natural = self.alignment(self.sources.refer(id, member.type_id))?;
            if fits(found, &member, natural) {
                alignment = alignment.max(natural);
            }
        }
        Ok(alignment)
    }

    fn widest(&mut self, id: Id, found: &Type<'_>) -> Result<u64, BtfError> {
        let mut widest = 0;
        for member in found.members() {
            let size = self.size(self.sources.refer(id, member.type_id))? * 8;
            widest = widest.max(if member.bits == 0 { size } else { u64::from(member.bits) });
        }
        Ok(widest)
    }

    /// Return the size of a type in bytes.
    fn size(&mut self, mut id: Id) -> Result<u64, BtfError> {
        let mut count = 1_u64;
        loop {
            self.count()?;
            if id.is_void() {
                return Ok(0);
            }
            let (resolved, found) = self.sources.resolve(id)?;
            let size = match found.kind() {
                kind::ARRAY => {
                    let (element, elements) = found.array();
                    count = count.saturating_mul(elements.into());
                    id = self.sources.refer(resolved, element);
                    continue;
                }
                kind::PTR => 8,
                kind::INT | kind::FLOAT | kind::ENUM | kind::ENUM64 | kind::STRUCT | kind::UNION => found.size_or_type,
                _ => return Err(resolved.corrupt()),
            };
            // Beyond all sizes that BTF can state, and far from an overflow.
            return Ok(count.saturating_mul(size.into()).min(1 << 40));
        }
    }
}

/// Whether a member can be where it is with its natural alignment, given the size of the whole.
fn fits(record: &Type<'_>, member: &Member, natural: u32) -> bool {
    let unit = natural * 8;
    let aligned = if member.bits == 0 {
        member.bit_offset.is_multiple_of(unit)
    } else {
        // Bit fields do not cross the units of their type.
        member.bit_offset / unit == (member.bit_offset + member.bits - 1) / unit
    };
    aligned && record.size_or_type.is_multiple_of(natural)
}

/// Fill the bits from `start` to `end`.
fn pad(body: &mut String, start: u64, end: u64) {
    let mut at = start;
    while at < end {
        let gap = end - at;
        if at.is_multiple_of(8) && gap > MAX_BIT_FIELD_GAP * 8 {
            let _ = writeln!(body, "char ___gap{}[{}];", at / 8, gap / 8);
            at += gap / 8 * 8;
            continue;
        }
        let units = [(64, "long"), (32, "int"), (16, "short"), (8, "char")];
        let fitting = units.into_iter().find(|(bits, _)| at.is_multiple_of(*bits) && gap >= *bits);
        let (bits, name) = fitting.unwrap_or((gap.min(8 - at % 8), "char"));
        let _ = writeln!(body, "{name}: {bits};");
        at += bits;
    }
}
