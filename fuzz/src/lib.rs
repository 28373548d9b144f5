//! Fuzz targets for what rtrace reads: tracepoints' formats, filters, a ring buffer's memory, the instructions of
//! programs, and C in bcc's dialect.
//!
//! README.md says how to run them. The modules are private to rtrace's crate, so this one is made of the same files.

#![expect(dead_code, unused_imports, reason = "only what reads is called")]

mod dialect;
mod reads;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

#[path = "../../rust/src/layout.rs"]
mod layout;

#[path = "../../rust/src/bcc"]
mod bcc {
    pub(crate) mod diagnostics;
    pub(crate) mod edits;
    pub(crate) mod function_head;
    pub(crate) mod functions;
    pub(crate) mod kernel_reads;
    pub(crate) mod lexer;
    pub(crate) mod line_marks;
    pub(crate) mod methods;
    pub(crate) mod packet_headers;
    pub(crate) mod prelude;
    pub(crate) mod program_section;
    pub(crate) mod scan;
    pub(crate) mod source;
    pub(crate) mod source_text;
}

#[path = "../../rust/src/kernel"]
mod kernel {
    pub(crate) mod btf;
    pub(crate) mod filter;
    pub(crate) mod format;
}

#[path = "../../rust/src/sys"]
mod sys {
    pub(crate) mod file;
    pub(crate) mod ring;
}

pub use dialect::dialect;
use kernel::{
    filter::{Filter, Header, MAX_ALTERNATIVES, MAX_CONDITIONS, MAX_TEXT, Test},
    format::Format,
};
pub use reads::reads;

/// Read a format; what comes out must hang together.
pub fn format(text: &str) {
    let Ok(format) = Format::parse(text) else { return };
    let size = format.size();
    let layout = format.layout();
    assert_eq!(layout.size(), size);
    let layout::Layout::Record(fields, _) = layout else { panic!("a tracepoint's layout is a record") };
    for (index, (field, part)) in format.fields.iter().zip(&fields).enumerate() {
        assert_eq!((field.offset, field.size), (part.offset, part.layout.size()));
        assert!(field.offset + field.size <= size);
        assert!(fields[..index].iter().all(|other| other.name != part.name));
    }
    // What its words stand for changes the tables alone, and a word that is known is not asked for again.
    let known: HashMap<_, _> = (-1..).zip(&format.print.unknown).map(|(value, word)| (word.clone(), value)).collect();
    let Ok(again) = Format::parse_with(text, &known) else { panic!("a format stays one") };
    assert_eq!(again.fields, format.fields);
    assert!(again.print.tables.iter().all(|table| table.unresolved.is_empty()));
}

/// Read a filter on the fields of a real tracepoint, and let a record through it; the record's bytes come first.
pub fn filter(data: &[u8], tracepoint: &str) {
    let (record, expression) = data.split_at(data.len().min(64));
    let (Ok(expression), Ok(format)) = (str::from_utf8(expression), Format::parse(tracepoint)) else { return };
    let Ok(filter) = Filter::parse(expression, &format) else { return };
    assert!((1..=MAX_ALTERNATIVES).contains(&filter.alternatives.len()));
    for condition in filter.alternatives.iter().flatten() {
        assert!(!matches!(&condition.test, Test::Text(_, value) if value.len() > MAX_TEXT));
    }
    assert!(filter.alternatives.iter().all(|conditions| (1..=MAX_CONDITIONS).contains(&conditions.len())));
    let header = Header { pid: 1, tid: 2, cpu: 3, comm: &record[..record.len().min(16)] };
    let passes = filter.matches(record, &header);
    // Negated twice, it means the same; the bounds may come out otherwise.
    if let Ok(again) = Filter::parse(&format!("not not ({expression})"), &format) {
        assert_eq!(again.matches(record, &header), passes);
    }
    // Where nothing is missing, the negation is the opposite.
    if record.len() == 64
        && !expression.contains("cmd")
        && let Ok(opposite) = Filter::parse(&format!("not ({expression})"), &format)
    {
        assert_ne!(opposite.matches(record, &header), passes);
    }
}

/// Size of the ring that is made up: small, so that records often wrap.
const RING: usize = 256;

/// Read memory as a ring buffer: two positions, how many records are taken, and the data that the ring repeats.
///
/// What is read must be what a second reader finds, who knows nothing of shared memory.
pub fn ring(data: &[u8]) {
    let Some((head, data)) = data.split_at_checked(17) else { return };
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let (consumed, produced, most) = (number(&head[..8]), number(&head[8..16]), usize::from(head[16]));
    let mut bytes = data.to_vec();
    bytes.resize(RING, 0);
    let half = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap_or_default()));
    let words: Vec<AtomicU32> = half.clone().chain(half).map(AtomicU32::new).collect();
    let (tail, head) = (AtomicU64::new(consumed), AtomicU64::new(produced));
    let mut records = Vec::new();
    let result = sys::ring::View { consumed: &tail, produced: &head, words: &words }.consume(|record| {
        if records.len() == most {
            return false;
        }
        records.push(record.to_vec());
        true
    });
    let (expected, end, corrupt) = read_slowly(&bytes, consumed, produced, most);
    assert_eq!((records, tail.load(Relaxed), result.is_err()), (expected, end, corrupt));
}

/// Read a ring byte by byte: the records, where the reader stands then, and whether that makes no sense.
fn read_slowly(bytes: &[u8], consumed: u64, produced: u64, most: usize) -> (Vec<Vec<u8>>, u64, bool) {
    let byte = |position: u64| bytes[usize::try_from(position % RING as u64).unwrap_or(0)];
    let mut records = Vec::new();
    let mut at = consumed;
    if at % 8 != 0 || at > produced || produced - at > RING as u64 {
        return (records, at, true);
    }
    while at < produced {
        let length = u32::from_ne_bytes([0, 1, 2, 3].map(|offset| byte(at + offset)));
        let (busy, discarded, length) = (length >> 31 == 1, length >> 30 & 1 == 1, u64::from(length & 0x3fff_ffff));
        if busy {
            break;
        }
        let padded = 8 + length.div_ceil(8) * 8;
        if padded > produced - at {
            return (records, at, true);
        }
        if !discarded {
            if records.len() == most {
                break;
            }
            records.push((0..length).map(|offset| byte(at + 8 + offset)).collect());
        }
        at += padded;
    }
    (records, at, false)
}
