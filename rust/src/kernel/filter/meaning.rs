//! What a filter means: evaluated here as the programs in the kernel must.

use super::{Comparison, Condition, Filter, Place, Test, TextComparison};

/// What is known of an event besides its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header<'a> {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) cpu: u32,
    pub(crate) comm: &'a [u8],
}

impl Filter {
    /// Whether an event passes: the meaning of a filter, for programs in the kernel to agree with.
    pub(crate) fn matches(&self, record: &[u8], header: &Header<'_>) -> bool {
        self.alternatives.iter().any(|conditions| conditions.iter().all(|condition| condition.holds(record, header)))
    }
}

impl Condition {
    /// Whether it holds; no condition holds on what the record is too short for.
    fn holds(&self, record: &[u8], header: &Header<'_>) -> bool {
        let size = self.operand.size;
        match &self.test {
            Test::Number(comparison, value) => {
                let number = match self.operand.place {
                    Place::Pid => Some(header.pid.into()),
                    Place::Tid => Some(header.tid.into()),
                    Place::Cpu => Some(header.cpu.into()),
                    Place::Record(offset) => number_at(record, offset, size, self.operand.signed),
                    Place::Located { .. } | Place::Comm => None,
                };
                number.is_some_and(|number| comparison.holds(number, *value, self.operand.signed))
            }
            Test::Text(comparison, value) => {
                let bytes = match self.operand.place {
                    Place::Comm => Some(header.comm),
                    Place::Record(offset) => record.get(offset..offset + size),
                    Place::Located { offset, relative } => located(record, offset, relative),
                    Place::Pid | Place::Tid | Place::Cpu => None,
                };
                let text = bytes.and_then(|bytes| bytes.split(|byte| *byte == 0).next());
                text.is_some_and(|text| match comparison {
                    TextComparison::Equal => text == value,
                    TextComparison::NotEqual => text != value,
                    TextComparison::Starts => text.starts_with(value),
                    TextComparison::NotStarts => !text.starts_with(value),
                })
            }
        }
    }
}

fn number_at(record: &[u8], offset: usize, size: usize, signed: bool) -> Option<u64> {
    let bytes = record.get(offset..offset.checked_add(size)?)?;
    Some(match (bytes, signed) {
        ([byte], false) => (*byte).into(),
        ([byte], true) => i64::from(byte.cast_signed()).cast_unsigned(),
        (_, false) if size == 2 => u16::from_ne_bytes(bytes.try_into().ok()?).into(),
        (_, true) if size == 2 => i64::from(i16::from_ne_bytes(bytes.try_into().ok()?)).cast_unsigned(),
        (_, false) if size == 4 => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
        (_, true) if size == 4 => i64::from(i32::from_ne_bytes(bytes.try_into().ok()?)).cast_unsigned(),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

/// Return the bytes of a dynamic field.
fn located(record: &[u8], offset: usize, relative: bool) -> Option<&[u8]> {
    let word = usize::try_from(number_at(record, offset, 4, false)?).ok()?;
    let start = (word & 0xffff) + if relative { offset + 4 } else { 0 };
    record.get(start..start + (word >> 16))
}

impl Comparison {
    fn holds(self, left: u64, right: u64, signed: bool) -> bool {
        let order = if signed { left.cast_signed().cmp(&right.cast_signed()) } else { left.cmp(&right) };
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::AnyBit => left & right != 0,
            Self::NoBit => left & right == 0,
        }
    }
}
