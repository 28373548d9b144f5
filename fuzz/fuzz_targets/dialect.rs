//! Any text is rewritten or refused, and keeps its lines.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| rtrace_fuzz::dialect(text));
