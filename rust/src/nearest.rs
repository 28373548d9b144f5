//! Names that are nearly the one that was asked for.

use std::mem;

/// Return the name that is most like `name`, if one is like it: letters left out, added, changed or swapped.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + name.len() / 6;
    let distance = |candidate: &str| {
        let close = candidate.len().abs_diff(name.len()) <= limit && candidate != name;
        close.then(|| distance(name.as_bytes(), candidate.as_bytes())).filter(|distance| *distance <= limit)
    };
    let found = candidates.into_iter().filter_map(|candidate| Some((distance(candidate)?, candidate)));
    // Of equals always the same, whatever order they come in.
    found.min().filter(|_| name.len() > 2).map(|(_, candidate)| candidate)
}

/// Count the changes from one name to the other.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, byte) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in right.iter().enumerate() {
            let mut changes = (last[j] + usize::from(byte != other)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *byte == right[j - 1] && left[i - 1] == *other {
                changes = changes.min(before[j - 1] + 1);
            }
            row.push(changes);
        }
        before = mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_other_names_are_not() {
        let names = ["data_t", "start", "task_struct", "BPF_HASH", "BPF_ARRAY", "a"];
        for (name, found) in [
            ("dta_t", Some("data_t")),
            ("strat", Some("start")),
            ("tsk_struct", Some("task_struct")),
            ("BPF_HSAH", Some("BPF_HASH")),
            ("BPF_STACK", None),
            ("start", None),
            ("events", None),
            ("b", None),
        ] {
            assert_eq!(nearest(name, names), found, "{name}");
        }
    }
}
