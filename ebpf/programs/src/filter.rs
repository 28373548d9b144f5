//! Deciding in the kernel which hits are wanted.

use aya_ebpf::{Global, helpers::bpf_get_current_comm};
use rtrace_common::entry::{ALTERNATIVES, CONDITIONS, Condition, operator, source};

use crate::{cpu, element, entry::Entry, part, tasks::Task};

/// The conditions of a filter, one alternative after the other.
pub type Table = [Condition; ALTERNATIVES * CONDITIONS];

/// Return whether a hit meets one of the alternatives; no alternatives at all let everything pass.
///
/// The verifier knows the conditions, so that only the comparisons that are asked for remain of all this.
#[inline(always)]
pub fn passes(table: &'static Global<Table>, entry: Entry, task: Task) -> bool {
    if part!(element(table, 0), source) == source::NONE {
        return true;
    }
    for alternative in 0..ALTERNATIVES {
        let first = alternative * CONDITIONS;
        if part!(element(table, first), source) != source::NONE && all_hold(table, first, entry, task) {
            return true;
        }
    }
    false
}

#[inline(always)]
fn all_hold(table: &'static Global<Table>, first: usize, entry: Entry, task: Task) -> bool {
    for index in first..first + CONDITIONS {
        let condition = element(table, index);
        if part!(condition, source) == source::NONE {
            return true;
        }
        if !holds(condition, entry, task) {
            return false;
        }
    }
    true
}

#[inline(always)]
fn holds(condition: *const Condition, entry: Entry, task: Task) -> bool {
    let how = part!(condition, operator);
    if how == operator::SAME_TEXT || how == operator::OTHER_TEXT {
        let (found, [first, second]) = (text_of(condition, entry), part!(condition, value));
        let same = found[0] == first && found[1] == second;
        return same == (how == operator::SAME_TEXT);
    }
    let found = number_of(condition, entry, task);
    let [wanted, _] = part!(condition, value);
    let signed = part!(condition, signed) != 0;
    match how {
        operator::EQUAL => found == wanted,
        operator::NOT_EQUAL => found != wanted,
        operator::ANY_BIT => found & wanted != 0,
        operator::NO_BIT => found & wanted == 0,
        operator::LESS => less(signed, found, wanted),
        operator::GREATER_EQUAL => !less(signed, found, wanted),
        operator::GREATER => less(signed, wanted, found),
        _ => !less(signed, wanted, found),
    }
}

#[inline(always)]
fn less(signed: bool, one: u64, other: u64) -> bool {
    if signed { (one as i64) < (other as i64) } else { one < other }
}

#[inline(always)]
fn number_of(condition: *const Condition, entry: Entry, task: Task) -> u64 {
    match part!(condition, source) {
        source::PID => u64::from(task.pid),
        source::TID => u64::from(task.tid),
        source::CPU => u64::from(cpu()),
        _ => entry.integer(u64::from(part!(condition, offset)), part!(condition, size), part!(condition, signed) != 0),
    }
}

/// Read as much text as is compared, the rest zeros.
#[inline(always)]
fn text_of(condition: *const Condition, entry: Entry) -> [u64; 2] {
    let (offset, size) = (u64::from(part!(condition, offset)), u32::from(part!(condition, size)));
    let from = part!(condition, source);
    if from == source::COMM {
        let comm = bpf_get_current_comm().unwrap_or_default();
        // SAFETY: two arrays of 16 bytes.
        let [first, second] = unsafe { core::mem::transmute::<[u8; 16], [u64; 2]>(comm) };
        return [first & first_bytes(size), second & first_bytes(size.saturating_sub(8))];
    }
    let start = match from {
        source::LOCATED => entry.located(offset, false),
        source::LOCATED_RELATIVE => entry.located(offset, true),
        _ => offset,
    };
    let mut text = [0_u64; 2];
    // SAFETY: the loader sees to it that at most 16 bytes are compared.
    unsafe { entry.read(start, size, (&raw mut text).cast()) };
    text
}

/// Return a mask of the first bytes of a word.
#[inline(always)]
fn first_bytes(count: u32) -> u64 {
    if count >= 8 { u64::MAX } else { (1 << (8 * count)) - 1 }
}
