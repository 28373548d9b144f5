//! Bit fields: numpy has no fields below a byte, so an array has a column for each, behind the bytes as C has them.
//!
//! A record or array with bit fields somewhere in it is such a column as well. All other fields stay at their offsets,
//! and layouts without bit fields are what they were: their bytes become arrays without a copy.

use super::{Field, Layout};

impl Layout {
    /// Return the layout of so many bits of this number, if it has as many.
    pub(super) fn bits(self, skip: usize, width: usize) -> Option<Self> {
        let fits = matches!(self, Self::Number('u' | 'i' | 'b', _) | Self::Wide(_)) && width <= self.size() * 8;
        fits.then(|| Self::Bits { skip, width, number: Box::new(self) })
    }

    /// Whether there are bit fields in it.
    pub(crate) fn has_bits(&self) -> bool {
        match self {
            Self::Bits { .. } => true,
            Self::Array(element, count) => *count > 0 && element.has_bits(),
            Self::Record(fields, _) => fields.iter().any(|field| field.layout.has_bits()),
            _ => false,
        }
    }

    /// Return the layout of a row of an array.
    pub(crate) fn unpacked(&self) -> Self {
        match self {
            Self::Bits { number, .. } => (**number).clone(),
            Self::Array(element, count) => Self::Array(Box::new(element.unpacked()), *count),
            Self::Record(fields, size) if self.has_bits() => {
                let mut end = *size;
                let mut place = |field: &Field| {
                    let layout = field.layout.unpacked();
                    if !field.layout.has_bits() {
                        return Field { name: field.name.clone(), offset: field.offset, layout };
                    }
                    let alignment = if let Self::Number(_, size) = layout { size } else { 8 };
                    let offset = end.next_multiple_of(alignment);
                    end = offset + layout.size();
                    Field { name: field.name.clone(), offset, layout }
                };
                let fields = fields.iter().map(&mut place).collect();
                Self::Record(fields, end.next_multiple_of(8))
            }
            _ => self.clone(),
        }
    }

    /// Fill a row, which is zeros and of the layout `unpacked`, from bytes of this one.
    pub(crate) fn unpack(&self, unpacked: &Self, bytes: &[u8], row: &mut [u8]) {
        match (self, unpacked) {
            (Self::Bits { .. }, _) => row.copy_from_slice(&self.number_in(bytes).to_le_bytes()[..row.len()]),
            (Self::Array(element, _), Self::Array(column, _)) => {
                let rows = row.chunks_exact_mut(column.size());
                bytes
                    .chunks_exact(element.size())
                    .zip(rows)
                    .for_each(|(bytes, row)| element.unpack(column, bytes, row));
            }
            (Self::Record(fields, _), Self::Record(columns, _)) => {
                row[..bytes.len()].copy_from_slice(bytes);
                // Whatever has no bit fields is where it was.
                for (field, column) in
                    fields.iter().zip(columns).filter(|(field, column)| field.offset != column.offset)
                {
                    let row = &mut row[column.offset..][..column.layout.size()];
                    field.layout.unpack(&column.layout, field.bytes_in(bytes), row);
                }
            }
            _ => row.copy_from_slice(bytes),
        }
    }

    /// Make the bytes of a row again, from its fields alone: numpy does not keep what is between them. `None` if these
    /// do not fit into their bits, or disagree about bytes that they share.
    pub(crate) fn pack(&self, unpacked: &Self, row: &[u8]) -> Option<Vec<u8>> {
        let (mut bytes, mut again) = (vec![0; self.size()], vec![0; row.len()]);
        self.write(unpacked, row, &mut bytes);
        self.unpack(unpacked, &bytes, &mut again);
        unpacked.agree(row, &again).then_some(bytes)
    }

    fn write(&self, unpacked: &Self, row: &[u8], bytes: &mut [u8]) {
        match (self, unpacked) {
            (Self::Bits { skip, width, .. }, _) => {
                for bit in 0..(*width).min(row.len() * 8) {
                    let (from, to) = (bit, bit + skip);
                    bytes[to / 8] &= !(1 << (to % 8));
                    bytes[to / 8] |= (row[from / 8] >> (from % 8) & 1) << (to % 8);
                }
            }
            (Self::Array(element, _), Self::Array(column, _)) => {
                let rows = row.chunks_exact(column.size());
                let bytes = bytes.chunks_exact_mut(element.size());
                bytes.zip(rows).for_each(|(bytes, row)| element.write(column, row, bytes));
            }
            (Self::Record(fields, size), Self::Record(columns, _)) => {
                bytes.copy_from_slice(&row[..*size]);
                for (field, column) in
                    fields.iter().zip(columns).filter(|(field, column)| field.offset != column.offset)
                {
                    let bytes = &mut bytes[field.offset..][..field.layout.size()];
                    field.layout.write(&column.layout, column.bytes_in(row), bytes);
                }
            }
            _ => bytes.copy_from_slice(row),
        }
    }

    /// Whether all fields are equal.
    fn agree(&self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Self::Array(element, _) => {
                let size = element.size();
                one.chunks_exact(size).zip(other.chunks_exact(size)).all(|(one, other)| element.agree(one, other))
            }
            Self::Record(fields, _) => {
                fields.iter().all(|field| field.layout.agree(field.bytes_in(one), field.bytes_in(other)))
            }
            _ => one == other,
        }
    }

    /// Return what a bit field is read as; of anything else, itself.
    pub(crate) fn number(&self) -> &Self {
        if let Self::Bits { number, .. } = self { number } else { self }
    }

    /// Return the number in the bytes of a number or a bit field, its sign in all bits above.
    pub(crate) fn number_in(&self, bytes: &[u8]) -> u128 {
        let (skip, width) =
            if let Self::Bits { skip, width, .. } = self { (*skip, *width) } else { (0, self.size() * 8) };
        let (low, rest) = bytes.split_at(bytes.len().min(16));
        let mut whole = [0; 16];
        whole[..low.len()].copy_from_slice(low);
        let mut number = u128::from_le_bytes(whole) >> skip;
        // 128 bits that do not begin with a byte.
        if let Some(last) = rest.first() {
            number |= u128::from(*last) << (128 - skip);
        }
        let above = 128 - width;
        let is_signed = matches!(self.number(), Self::Number('i', _) | Self::Wide(true));
        if is_signed { ((number << above).cast_signed() >> above).cast_unsigned() } else { number << above >> above }
    }
}

impl Field {
    /// Return the field's part of a record's bytes.
    pub(crate) fn bytes_in<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        &record[self.offset..][..self.layout.size()]
    }
}
