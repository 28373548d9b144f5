//! Which line of the source the verifier speaks of.

use aya_obj::Function;

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
    let btf = Btf::parse(Contents::Read(btf?.to_bytes()), None).ok()?;
    let file = String::from_utf8_lossy(btf.string(found.file_name_off)).into_owned();
    let file = file.rsplit('/').next().unwrap_or_default();
    let text = String::from_utf8_lossy(btf.string(found.line_off)).into_owned();
    let line = found.line_col >> 10;
    Some(match text.trim() {
        "" => format!("{file}:{line}"),
        text => format!("{file}:{line}, `{text}`"),
    })
}
