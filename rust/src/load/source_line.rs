//! Which line of the source the verifier speaks of.

use aya_obj::{Function, generated::bpf_line_info};

use crate::{kernel::btf::Btf, sys::file::Contents};

/// Find the place of the last instruction that the verifier's log shows: the one that it refused.
///
/// Lines of the log that show instructions begin with their number: `17: (79) r1 = *(u64 *)(r1 +8)`.
pub(super) fn of_refusal(log: &[String], function: &Function, btf: Option<&aya_obj::btf::Btf>) -> Option<String> {
    let number = |line: &String| {
        let (number, rest) = line.split_once(": (")?;
        rest.as_bytes().get(2).filter(|byte| **byte == b')')?;
        number.parse::<u32>().ok()
    };
    let instruction = log.iter().rev().find_map(number)?;
    // The compiler makes instructions that belong to no line; those before them do.
    let records = function.line_info.line_info.iter();
    let found = records.filter(|record| record.insn_off <= instruction && record.line_col >> 10 != 0);
    let found = found.max_by_key(|record| record.insn_off)?;
    let (place, text) = place(&parse(btf)?, found);
    Some(if text.is_empty() { place } else { format!("{place}, `{text}`") })
}

/// Return the first instruction of every line, its place `FILE:LINE`, and the line itself.
pub(super) fn all(function: &Function, btf: Option<&aya_obj::btf::Btf>) -> Vec<(u32, String, String)> {
    let Some(btf) = parse(btf) else { return Vec::new() };
    let records = function.line_info.line_info.iter().filter(|record| record.line_col >> 10 != 0);
    let line = |record: &bpf_line_info| {
        let (place, text) = place(&btf, record);
        (record.insn_off, place, text)
    };
    records.map(line).collect()
}

fn parse(btf: Option<&aya_obj::btf::Btf>) -> Option<Btf> {
    Btf::parse(Contents::Read(btf?.to_bytes()), None).ok()
}

fn place(btf: &Btf, record: &bpf_line_info) -> (String, String) {
    let string = |offset| String::from_utf8_lossy(btf.string(offset)).into_owned();
    let file = string(record.file_name_off);
    let file = file.rsplit('/').next().unwrap_or_default();
    (format!("{file}:{}", record.line_col >> 10), string(record.line_off).trim().to_owned())
}
