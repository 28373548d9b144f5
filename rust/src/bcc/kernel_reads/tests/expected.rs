//! Programs beside what they are to become.

use std::fmt::Write;

use super::assembler::{assemble, disassemble};
use crate::bcc::kernel_reads::{Context, helpers::PROBE_READ, rewrite_code};

/// Rewrite a program, which must come out as expected.
///
/// `read[-8] r0 = *(u32 *)(r1 + 16)` in `after` is that load in other words, with the stack from -8 to read into.
#[track_caller]
pub(super) fn becomes(context: Context, before: &str, after: &str) {
    let before = assemble(before);
    let rewritten = rewrite_code(&before, context).expect("a program");
    let code = rewritten.map_or(before, |rewritten| rewritten.code);
    let after: String = after.lines().map(written_out).collect();
    assert_eq!(disassemble(&code), disassemble(&assemble(&after)));
}

fn written_out(line: &str) -> String {
    let mut text = String::new();
    let Some((slot, load)) = line.trim().strip_prefix("read[").and_then(|line| line.split_once("] ")) else {
        let _ = writeln!(text, "{line}");
        return text;
    };
    let (target, place) = load.split_once(" = *(").expect("a load");
    let (size, place) = place.split_once(" *)(").expect("a size");
    let (base, offset) = place.trim_end_matches(')').split_once(" + ").expect("a base and an offset");
    let bytes = size[1..].parse::<u8>().expect("bits") / 8;
    if base != "r3" {
        let _ = writeln!(text, "r3 = {base}");
    }
    if offset != "0" {
        let _ = writeln!(text, "r3 += {offset}");
    }
    let _ = writeln!(text, "r1 = r10\nr1 += {slot}\nr2 = {bytes}\ncall {PROBE_READ}");
    let _ = writeln!(text, "{target} = *({size} *)(r10 - {})", slot.trim_start_matches('-'));
    text
}
