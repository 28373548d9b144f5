//! The log2 histogram: which slot a value falls into.

/// Slots of a histogram: one for each power of two that a `u64` can reach.
pub const SLOTS: usize = 64;

/// One histogram as a CPU fills it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Histogram {
    /// Slot 0 counts values of 0 and 1 unit, slot `i` those of `2^i ..= 2^(i+1) - 1` units.
    pub counts: [u64; SLOTS],
    /// Sum of the values, in nanoseconds.
    pub sum_ns: u64,
}

/// Return the slot of `value_ns` when a unit is `unit_ns` nanoseconds long (1, 1000, ...).
///
/// It is `floor(log2(value_ns / unit_ns))`, found without the division: the position of the top bits of both
/// gives the slot or the one above it, and one comparison tells which.
#[inline]
#[must_use]
pub const fn slot(value_ns: u64, unit_ns: u64) -> usize {
    if value_ns < unit_ns {
        return 0;
    }
    // `leading_zeros` compiles to straight-line code: branches here would multiply the paths that the verifier walks.
    let candidate = unit_ns.leading_zeros() - value_ns.leading_zeros();
    let below = (value_ns >> candidate) < unit_ns;
    (candidate - below as u32) as usize & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_the_floor_of_the_log_of_the_quotient() {
        for unit in [1_u64, 1_000, 1_000_000, 1_000_000_000] {
            for shift in 0..64 {
                for value in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + 1, (1_u64 << shift).wrapping_mul(unit)] {
                    let quotient = (value / unit).max(1);
                    assert_eq!(slot(value, unit), quotient.ilog2() as usize, "value {value} unit {unit}");
                }
            }
            assert_eq!(slot(u64::MAX, unit), (u64::MAX / unit).ilog2() as usize);
        }
    }
}
