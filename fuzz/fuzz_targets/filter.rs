//! Any text is a filter or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

const TRACEPOINT: &str = include_str!("../../tests/data/formats/block_rq_issue.format");

fuzz_target!(|data: &[u8]| rtrace_fuzz::filter(data, TRACEPOINT));
