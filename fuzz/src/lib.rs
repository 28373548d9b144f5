//! Fuzz targets for the text that rtrace reads: tracepoints' formats and filters.
//!
//! ```text
//! cargo install cargo-fuzz
//! cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run format corpus/format seeds/format -- -max_total_time=300
//! ```
//!
//! The modules are private to rtrace's crate, so this one is made of the same files; `RUSTC_BOOTSTRAP` lets a stable
//! compiler instrument them.

#![expect(dead_code, reason = "only what reads text is called")]

#[path = "../../rust/src/layout.rs"]
mod layout;

#[path = "../../rust/src/kernel"]
mod kernel {
    pub(crate) mod btf;
    pub(crate) mod filter;
    pub(crate) mod format;
}

#[path = "../../rust/src/sys"]
mod sys {
    pub(crate) mod file;
}

use kernel::{
    filter::{Filter, Header, MAX_ALTERNATIVES, MAX_CONDITIONS, MAX_TEXT, Test},
    format::Format,
};

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
