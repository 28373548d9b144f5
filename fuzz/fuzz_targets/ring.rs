//! Any memory is read as a ring buffer, or found corrupt.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtrace_fuzz::ring(data));
