//! The decoder on memory of our own.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{BUSY, Corrupt, DISCARDED, View};

const SIZE: usize = 4096;

/// A ring buffer as the kernel lays it out, without a kernel.
struct Fake {
    consumed: AtomicU64,
    produced: AtomicU64,
    words: Vec<AtomicU32>,
}

impl Fake {
    /// Return an empty ring whose reader and programs stand at `position`.
    fn at(position: u64) -> Self {
        let words = (0..SIZE / 2).map(|_| AtomicU32::new(0)).collect();
        Self { consumed: AtomicU64::new(position), produced: AtomicU64::new(position), words }
    }

    /// Write where both halves of the mapping show it.
    fn set(&self, position: u64, word: u32) {
        let index = usize::try_from(position).unwrap() % SIZE / 4;
        self.words[index].store(word, Relaxed);
        self.words[index + SIZE / 4].store(word, Relaxed);
    }

    /// Write a record of `bytes` bytes, all of them `fill`, with `flags`; return where its header is.
    fn write(&self, bytes: u32, fill: u8, flags: u32) -> u64 {
        let at = self.produced.load(Relaxed);
        for offset in (0..u64::from(bytes)).step_by(4) {
            self.set(at + 8 + offset, u32::from_ne_bytes([fill; 4]));
        }
        self.set(at, bytes | flags);
        self.produced.store(at + (u64::from(bytes) + 8).next_multiple_of(8), Relaxed);
        at
    }

    fn view(&self) -> View<'_> {
        View { consumed: &self.consumed, produced: &self.produced, words: &self.words }
    }

    fn read(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        self.view()
            .consume(|record| {
                records.push(record.to_vec());
                true
            })
            .unwrap();
        records
    }
}

#[test]
fn records_come_in_order_and_once() {
    let ring = Fake::at(0);
    for fill in 1..=3 {
        ring.write(20, fill, 0);
    }
    assert_eq!(ring.view().waiting(), 3 * 32);
    assert_eq!(ring.read(), [vec![1; 20], vec![2; 20], vec![3; 20]]);
    assert_eq!(ring.view().waiting(), 0);
    assert!(ring.read().is_empty());
}

#[test]
fn a_record_that_wraps_is_whole() {
    for back in (8..=64).step_by(8) {
        let ring = Fake::at(5 * SIZE as u64 - back);
        ring.write(48, 7, 0);
        ring.write(8, 8, 0);
        assert_eq!(ring.read(), [vec![7; 48], vec![8; 8]], "{back} bytes before the end");
    }
}

#[test]
fn a_ring_can_be_full() {
    let ring = Fake::at(3 * SIZE as u64 + 40);
    ring.write(u32::try_from(SIZE).unwrap() - 8, 9, 0);
    assert_eq!(ring.read(), [vec![9; SIZE - 8]]);
}

#[test]
fn reading_stops_at_a_record_that_is_not_committed() {
    let ring = Fake::at(0);
    ring.write(16, 1, 0);
    let busy = ring.write(16, 2, BUSY);
    ring.write(16, 3, 0);
    assert_eq!(ring.read(), [vec![1; 16]]);
    assert_eq!(ring.consumed.load(Relaxed), busy);
    ring.set(busy, 16);
    assert_eq!(ring.read(), [vec![2; 16], vec![3; 16]]);
}

#[test]
fn discarded_records_are_skipped() {
    let ring = Fake::at(0);
    ring.write(16, 1, DISCARDED);
    ring.write(16, 2, 0);
    ring.write(2000, 3, DISCARDED);
    assert_eq!(ring.read(), [vec![2; 16]]);
    assert_eq!(ring.view().waiting(), 0);
}

#[test]
fn what_is_not_taken_stays() {
    let ring = Fake::at(0);
    for fill in 1..=3 {
        ring.write(8, fill, 0);
    }
    let mut seen = 0;
    ring.view()
        .consume(|_| {
            seen += 1;
            seen < 2
        })
        .unwrap();
    assert_eq!(ring.read(), [vec![2; 8], vec![3; 8]]);
}

#[test]
fn an_empty_record_is_a_record() {
    let ring = Fake::at(SIZE as u64 - 8);
    ring.write(0, 0, 0);
    assert_eq!(ring.read(), [Vec::<u8>::new()]);
}

#[test]
fn corrupt_memory_ends_the_reading() {
    let ring = Fake::at(0);
    ring.write(8, 1, 0);
    let second = ring.write(8, 2, 0);
    // One byte more than there is; the longest that the field can say; the same, discarded.
    for length in [9, !(BUSY | DISCARDED), !BUSY] {
        ring.set(second, length);
        ring.consumed.store(0, Relaxed);
        let mut seen = 0;
        let result = ring.view().consume(|_| {
            seen += 1;
            true
        });
        assert_eq!((result, seen), (Err(Corrupt { position: 16 }), 1), "{length:#x}");
        assert_eq!(ring.consumed.load(Relaxed), 16);
    }
}

#[test]
fn impossible_positions_end_the_reading() {
    let size = SIZE as u64;
    for (consumed, produced) in [(4, 16), (16, 8), (0, size + 8), (8, u64::MAX)] {
        let ring = Fake::at(consumed);
        ring.produced.store(produced, Relaxed);
        let result = ring.view().consume(|_| panic!("nothing is there"));
        assert_eq!(result, Err(Corrupt { position: consumed }), "{consumed} to {produced}");
    }
}
