//! What a register may hold: the lattice of the data flow.
//!
//! A value is the set of the kinds it may be of; where two ways meet, the sets are united. No kind says anything about
//! sizes or bounds: those are the verifier's business.

/// Kinds of values, as bits of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    /// Never written. Reading it is an error to the verifier.
    pub(super) const UNSET: Self = Self(1);
    /// The number 0, which a pointer may be too.
    pub(super) const ZERO: Self = Self(2);
    /// A number to the verifier, though it may well be an address.
    pub(super) const SCALAR: Self = Self(4);
    /// The program's argument.
    pub(super) const CONTEXT: Self = Self(8);
    /// Into this function's own frame.
    pub(super) const STACK: Self = Self(16);
    /// Maps, what is in them, ring buffer records, other functions' frames.
    pub(super) const MEMORY: Self = Self(32);
    /// A pointer of which the verifier knows the type in BTF, or what was loaded through one: the same or a number.
    pub(super) const TYPED: Self = Self(64);
    /// A function's address.
    pub(super) const FUNCTION: Self = Self(128);

    const POINTERS: Self = Self(Self::CONTEXT.0 | Self::STACK.0 | Self::MEMORY.0 | Self::TYPED.0 | Self::FUNCTION.0);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// A pointer that is no longer where it was. The verifier lets nobody load through a context that was moved (copies
    /// of arrays in it are made so): that is as good as a number.
    const fn moved(self) -> Self {
        if self.has(Self::CONTEXT) { self.with(Self::SCALAR) } else { self }
    }

    /// Whether it may be something that the verifier takes for a pointer.
    pub(super) const fn may_point(self) -> bool {
        self.has(Self::POINTERS)
    }
}

/// What is known of a register or a stack slot. The default is a value that no way leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) kinds: Kinds,
    /// The number, the offset in the frame (negative) or the function's first instruction, where only one is possible.
    pub(super) exact: Option<i64>,
}

impl Value {
    pub(super) const UNSET: Self = Self::of(Kinds::UNSET);
    pub(super) const SCALAR: Self = Self::of(Kinds::SCALAR);
    pub(super) const CONTEXT: Self = Self::of(Kinds::CONTEXT);
    pub(super) const MEMORY: Self = Self::of(Kinds::MEMORY);
    pub(super) const TYPED: Self = Self::of(Kinds::TYPED);

    pub(super) const fn of(kinds: Kinds) -> Self {
        Self { kinds, exact: None }
    }

    pub(super) const fn constant(number: i64) -> Self {
        Self { kinds: if number == 0 { Kinds::ZERO } else { Kinds::SCALAR }, exact: Some(number) }
    }

    pub(super) const fn stack(offset: i64) -> Self {
        Self { kinds: Kinds::STACK, exact: Some(offset) }
    }

    pub(super) fn function(start: usize) -> Self {
        Self { kinds: Kinds::FUNCTION, exact: i64::try_from(start).ok() }
    }

    /// The value where two ways meet.
    pub(super) fn join(self, other: Self) -> Self {
        if self == Self::default() {
            return other;
        }
        if other == Self::default() {
            return self;
        }
        let exact = if self.exact == other.exact { self.exact } else { None };
        Self { kinds: self.kinds.with(other.kinds), exact }
    }

    /// The number, if it is one and known.
    pub(super) fn number(self) -> Option<i64> {
        if self.kinds.may_point() || self.kinds.has(Kinds::UNSET) { None } else { self.exact }
    }

    /// The offset in this function's frame, if it is one and known.
    pub(super) fn frame_offset(self) -> Option<i64> {
        if self.kinds == Kinds::STACK { self.exact } else { None }
    }

    /// The value as another register gets it: whoever reads has something to read, to the verifier at least.
    pub(super) fn copied(self) -> Self {
        let kinds = self.kinds.without(Kinds::UNSET);
        if kinds == Kinds::default() { Self::SCALAR } else { Self { kinds, exact: self.exact } }
    }

    /// The value as another function sees it, which has a frame of its own.
    pub(super) fn abroad(self) -> Self {
        if !self.kinds.has(Kinds::STACK) {
            return self;
        }
        Self::of(self.kinds.without(Kinds::STACK).with(Kinds::MEMORY))
    }

    /// The value after something may have been written over it.
    ///
    /// The context is taken to stay: only the compiler puts it on the stack, where nobody has its address.
    pub(super) const fn weakened(self) -> Self {
        if self.kinds.has(Kinds::CONTEXT) { self } else { Self::of(self.kinds.with(Kinds::SCALAR)) }
    }

    pub(super) fn add(self, other: Self) -> Self {
        self.moved(other, i64::wrapping_add)
    }

    pub(super) fn subtract(self, other: Self) -> Self {
        // Not: the distance of two pointers, or a number less an address.
        if other.kinds.may_point() { Self::SCALAR } else { self.moved(other, i64::wrapping_sub) }
    }

    /// A pointer moved by a number is a pointer; anything else is a number.
    fn moved(self, other: Self, operation: fn(i64, i64) -> i64) -> Self {
        let exact = self.exact.zip(other.exact).map(|(left, right)| operation(left, right));
        match (self.kinds.may_point(), other.kinds.may_point()) {
            (false, false) => match self.number().zip(other.number()).and(exact) {
                Some(number) => Self::constant(number),
                None => Self::SCALAR,
            },
            (true, false) => {
                Self { kinds: self.kinds.moved(), exact: exact.filter(|_| self.kinds == Kinds::STACK) }.copied()
            }
            (false, true) => {
                Self { kinds: other.kinds.moved(), exact: exact.filter(|_| other.kinds == Kinds::STACK) }.copied()
            }
            (true, true) => Self::SCALAR,
        }
    }
}
