//! Any text is a format or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| rtrace_fuzz::format(text));
