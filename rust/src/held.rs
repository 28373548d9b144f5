//! Records that wait for their reader, in memory that is bounded.

use crate::sys::memory;

/// What becomes of records when those that are held take all the room they may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum WhenFull {
    /// They stay in the ring; when that is full too, programs count what they cannot write.
    Wait,
    /// The newest are dropped.
    DropNewest,
    /// The oldest are dropped.
    DropOldest,
}

impl WhenFull {
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("wait", Self::Wait), ("drop_newest", Self::DropNewest), ("drop_oldest", Self::DropOldest)];
}

/// Records of one size, one after the other.
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// Where the oldest record starts: not at 0 once the newest have taken the place of others.
    oldest: usize,
    record_size: usize,
    /// Most bytes that are held: a multiple of the record's size.
    limit: usize,
    when_full: WhenFull,
    /// Records that were dropped for want of room.
    dropped: u64,
    /// Records that were too short to be one.
    too_short: u64,
}

/// Records that were taken out, not yet in order.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    oldest: usize,
}

impl Batch {
    /// Return the bytes of the records, oldest first.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.rotate_left(self.oldest);
        // Gives back addresses, of which there are plenty, and what huge pages have beyond the end.
        self.bytes.shrink_to_fit();
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Held {
    /// Hold at most `max_bytes`; `None` if not even one record fits.
    pub(crate) fn new(record_size: usize, max_bytes: usize, when_full: WhenFull) -> Option<Self> {
        let limit = max_bytes - max_bytes.checked_rem(record_size)?;
        let bytes = Vec::new();
        (limit > 0).then_some(Self { bytes, oldest: 0, record_size, limit, when_full, dropped: 0, too_short: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is no use in reading the ring.
    pub(crate) fn is_waiting(&self) -> bool {
        self.when_full == WhenFull::Wait && self.bytes.len() >= self.limit
    }

    /// Return how many records were dropped for want of room, and how many were too short.
    pub(crate) fn losses(&self) -> (u64, u64) {
        (self.dropped, self.too_short)
    }

    /// Get memory for `more` bytes, as far as they may be held.
    ///
    /// Doubled while it is small. Then as much as may ever be held: untouched memory costs nothing, and moving what is
    /// held would need room for it twice.
    pub(crate) fn make_room(&mut self, more: usize) {
        let needed = self.bytes.len().saturating_add(more).min(self.limit);
        if needed <= self.bytes.capacity() {
            return;
        }
        let doubled = needed.max(self.bytes.capacity() * 2).min(self.limit);
        let wanted = if doubled < memory::LARGE { doubled } else { self.limit };
        // A machine that promises no more memory than it has may refuse so much.
        if self.bytes.try_reserve_exact(wanted - self.bytes.len()).is_err() {
            self.bytes.reserve_exact(doubled - self.bytes.len());
        }
        memory::prefer_huge_pages(self.bytes.spare_capacity_mut());
    }

    /// Hold one more record, or drop one; `false` if it must wait where it is.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8]) -> bool {
        // A ring holds records of one type; what is longer is one of a larger type that begins the same.
        let Some(record) = record.get(..self.record_size) else {
            self.too_short += 1;
            return true;
        };
        if self.bytes.len() < self.limit {
            self.bytes.extend_from_slice(record);
            return true;
        }
        self.push_full(record)
    }

    #[cold]
    fn push_full(&mut self, record: &[u8]) -> bool {
        match self.when_full {
            WhenFull::Wait => return false,
            WhenFull::DropNewest => {}
            WhenFull::DropOldest => {
                self.bytes[self.oldest..][..self.record_size].copy_from_slice(record);
                self.oldest = (self.oldest + self.record_size) % self.limit;
            }
        }
        self.dropped += 1;
        true
    }

    /// Give everything away.
    pub(crate) fn take(&mut self) -> Batch {
        Batch { bytes: std::mem::take(&mut self.bytes), oldest: std::mem::take(&mut self.oldest) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, WhenFull};

    /// Push records of two bytes, numbered from 0, where six bytes may be held; return what is held then, how many
    /// were dropped, and how many had to wait.
    fn push(when_full: WhenFull, numbers: std::ops::Range<u8>) -> (Vec<u8>, u64, usize) {
        let mut held = Held::new(2, 7, when_full).unwrap();
        let waiting = numbers.filter(|number| !held.push(&[*number, *number, 99])).count();
        let firsts = held.take().into_bytes().chunks(2).map(|record| record[0]).collect();
        (firsts, held.losses().0, waiting)
    }

    #[test]
    fn what_fits_is_held() {
        for (_, when_full) in WhenFull::NAMES {
            assert_eq!(push(when_full, 0..3), (vec![0, 1, 2], 0, 0));
        }
    }

    #[test]
    fn what_does_not_fit_waits_or_is_dropped() {
        assert_eq!(push(WhenFull::Wait, 0..8), (vec![0, 1, 2], 0, 5));
        assert_eq!(push(WhenFull::DropNewest, 0..8), (vec![0, 1, 2], 5, 0));
        assert_eq!(push(WhenFull::DropOldest, 0..8), (vec![5, 6, 7], 5, 0));
        assert_eq!(push(WhenFull::DropOldest, 0..100), (vec![97, 98, 99], 97, 0));
    }

    #[test]
    fn after_a_take_there_is_room_again() {
        let mut held = Held::new(1, 2, WhenFull::DropOldest).unwrap();
        for number in 0..5 {
            held.push(&[number]);
        }
        assert_eq!(held.take().into_bytes(), [3, 4]);
        held.push(&[5]);
        assert_eq!(held.take().into_bytes(), [5]);
        assert_eq!(held.losses(), (3, 0));
    }

    #[test]
    fn room_is_made_up_to_the_limit() {
        let mut held = Held::new(8, 100, WhenFull::Wait).unwrap();
        held.make_room(1 << 40);
        assert_eq!(held.bytes.capacity(), 96);
        assert!(!held.is_waiting());
        while held.push(&[0; 8]) {}
        assert!(held.is_waiting());
        assert_eq!(held.take().into_bytes().len(), 96);
    }

    #[test]
    fn records_that_are_too_short_are_counted() {
        let mut held = Held::new(4, 100, WhenFull::Wait).unwrap();
        assert!(held.push(&[1, 2, 3]));
        assert_eq!(held.losses(), (0, 1));
        assert!(held.is_empty());
    }

    #[test]
    fn one_record_must_fit() {
        assert!(Held::new(4, 3, WhenFull::Wait).is_none());
        assert!(Held::new(0, 3, WhenFull::Wait).is_none());
    }
}
