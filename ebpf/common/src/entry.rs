//! Tracepoint entries: which of their bytes go where, and which conditions they must meet.
//!
//! The layout of an entry is the kernel's own, told by the tracepoint's `format` file when the object is loaded; the
//! programs get it as globals.

/// Pieces of an entry that one program can copy.
pub const SEGMENTS: usize = 24;
/// Alternatives of a filter, of which one must hold.
pub const ALTERNATIVES: usize = 4;
/// Conditions of an alternative, all of which must hold.
pub const CONDITIONS: usize = 8;
/// Longest text that a filter compares with.
pub const TEXT_LEN: usize = 16;

/// How a segment is copied: the values of [`Segment::kind`].
pub mod kind {
    /// Not in use; ends the list.
    pub const NONE: u16 = 0;
    /// Bytes at a fixed place.
    pub const BYTES: u16 = 1;
    /// Text at a place that a `__data_loc` names: up to its NUL, cut to the segment.
    pub const DYNAMIC_TEXT: u16 = 2;
    /// Bytes at a place that a `__data_loc` names; a `u32` of how many were there follows them.
    pub const DYNAMIC_BYTES: u16 = 3;
    /// As [`DYNAMIC_TEXT`], by a `__rel_loc`, which counts from behind itself.
    pub const RELATIVE_TEXT: u16 = 4;
    /// As [`DYNAMIC_BYTES`], by a `__rel_loc`.
    pub const RELATIVE_BYTES: u16 = 5;
    /// Text at a fixed place, up to its NUL.
    pub const TEXT: u16 = 6;
}

/// Bytes of an entry that go into the record.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Segment {
    /// How they are copied, see [`kind`].
    pub kind: u16,
    /// Where they are in the entry.
    pub from: u16,
    /// Where they go in the record's payload.
    pub to: u16,
    /// How many.
    pub size: u16,
}

impl Segment {
    /// A segment that is not in use.
    pub const NONE: Self = Self { kind: kind::NONE, from: 0, to: 0, size: 0 };
}

/// What a condition looks at: the values of [`Condition::source`].
pub mod source {
    /// Not in use; ends the list.
    pub const NONE: u8 = 0;
    /// A field of the entry.
    pub const ENTRY: u8 = 1;
    /// The process.
    pub const PID: u8 = 2;
    /// The thread.
    pub const TID: u8 = 3;
    /// The CPU.
    pub const CPU: u8 = 4;
    /// The command name.
    pub const COMM: u8 = 5;
    /// Text at a place that a `__data_loc` field of the entry names.
    pub const LOCATED: u8 = 6;
    /// Text at a place that a `__rel_loc` field of the entry names.
    pub const LOCATED_RELATIVE: u8 = 7;
}

/// How a condition compares: the values of [`Condition::operator`].
pub mod operator {
    /// Equal.
    pub const EQUAL: u8 = 1;
    /// Not equal.
    pub const NOT_EQUAL: u8 = 2;
    /// Less.
    pub const LESS: u8 = 3;
    /// Less or equal.
    pub const LESS_EQUAL: u8 = 4;
    /// Greater.
    pub const GREATER: u8 = 5;
    /// Greater or equal.
    pub const GREATER_EQUAL: u8 = 6;
    /// Has any of these bits.
    pub const ANY_BIT: u8 = 7;
    /// Has none of these bits.
    pub const NO_BIT: u8 = 8;
    /// The same text.
    pub const SAME_TEXT: u8 = 9;
    /// Another text.
    pub const OTHER_TEXT: u8 = 10;
}

/// One comparison of a filter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Condition {
    /// What is compared, see [`source`].
    pub source: u8,
    /// How, see [`operator`].
    pub operator: u8,
    /// Size of the number in bytes; of text, how many bytes are compared, the NUL included unless it is a prefix.
    pub size: u8,
    /// Whether the field is signed.
    pub signed: u8,
    /// Where the field is in the entry.
    pub offset: u32,
    /// What it is compared with: a number in the first 8 bytes, or text, zero padded.
    pub value: [u64; 2],
}

impl Condition {
    /// A condition that is not in use.
    pub const NONE: Self = Self { source: source::NONE, operator: 0, size: 0, signed: 0, offset: 0, value: [0; 2] };
}
