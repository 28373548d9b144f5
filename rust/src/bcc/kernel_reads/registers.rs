//! Sets of registers.

use std::ops::{BitAnd, BitOr, Sub};

/// A set of the registers r0 to r15, of which eBPF has the first eleven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(u16);

impl Registers {
    pub(super) const NONE: Self = Self(0);
    /// r1 to r5.
    pub(super) const ARGUMENTS: Self = Self(0b11_1110);
    /// r0 to r5: what a call does not keep.
    pub(super) const CALLER_SAVED: Self = Self(0b11_1111);
    /// r6 to r9: what a call keeps.
    pub(super) const CALLEE_SAVED: Self = Self(0b11_1100_0000);

    pub(super) const fn of(register: u8) -> Self {
        Self(1 << (register & 15))
    }

    /// The first `count` arguments of a call.
    pub(super) const fn arguments(count: u8) -> Self {
        Self(((1 << (count + 1)) - 1) & Self::ARGUMENTS.0)
    }

    pub(super) fn contains(self, register: u8) -> bool {
        self & Self::of(register) != Self::NONE
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |register| self.contains(*register))
    }
}

impl BitOr for Registers {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Registers {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Registers {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
