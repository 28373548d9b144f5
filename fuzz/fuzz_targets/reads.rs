//! Any instructions are a program or refused, and no program keeps the rewriting busy for ever.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtrace_fuzz::reads(data));
