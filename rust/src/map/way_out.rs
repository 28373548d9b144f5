//! What the kernel's refusals mean for a map, and what to do about them.

use std::io;

use aya_obj::generated::bpf_map_type::{
    self, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_CGROUP_ARRAY, BPF_MAP_TYPE_CGRP_STORAGE, BPF_MAP_TYPE_INODE_STORAGE,
    BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_RINGBUF,
    BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_USER_RINGBUF,
};

use super::MapFacts;
use crate::error::Error;

/// The kernel's own ENOTSUPP, which libc has no name for.
const ENOTSUPP: i32 = 524;

/// Types of maps whose entries the kernel does not list: what they are, whether they have keys at all, and how they are
/// used instead.
const NOT_LISTED: [(bpf_map_type, &str, bool, &str); 11] = [
    (
        BPF_MAP_TYPE_RINGBUF,
        "a ring buffer",
        false,
        "its records are read: in bcc's words by open_ring_buffer() and \
         ring_buffer_poll(), or at once by read(); of an Object by ring_buffer() or record_buffer()",
    ),
    (BPF_MAP_TYPE_USER_RINGBUF, "a ring buffer for programs", false, "only programs read it"),
    (BPF_MAP_TYPE_QUEUE, "a queue", false, "pop() takes the oldest value, peek() looks at it"),
    (BPF_MAP_TYPE_STACK, "a stack", false, "pop() takes the newest value, peek() looks at it"),
    (BPF_MAP_TYPE_BLOOM_FILTER, "a bloom filter", false, "only programs ask it whether it has a value"),
    (
        BPF_MAP_TYPE_PERF_EVENT_ARRAY,
        "a perf event array",
        true,
        "its events are read: in bcc's words by \
         open_perf_buffer() and perf_buffer_poll(), or at once by read(); of an Object by perf_buffer(). Counters in it \
         are for programs",
    ),
    (BPF_MAP_TYPE_CGROUP_ARRAY, "an array of cgroups", true, "only programs ask it whether a task is in one of them"),
    (BPF_MAP_TYPE_SK_STORAGE, "the storage of sockets", true, "look up one by the socket's descriptor"),
    (BPF_MAP_TYPE_INODE_STORAGE, "the storage of inodes", true, "look up one by the file's descriptor"),
    (BPF_MAP_TYPE_TASK_STORAGE, "the storage of tasks", true, "look up one by a pidfd (os.pidfd_open)"),
    (BPF_MAP_TYPE_CGRP_STORAGE, "the storage of cgroups", true, "look up one by the folder's descriptor"),
];

fn not_listed(facts: &MapFacts) -> Option<(&'static str, bool, &'static str)> {
    let found = NOT_LISTED.iter().find(|(map_type, ..)| facts.is_any(&[*map_type]));
    found.map(|(_, what, has_keys, way_out)| (*what, *has_keys, *way_out))
}

/// Refuse to list the entries of a map that has no keys: there is nothing to ask the kernel for.
pub(super) fn refuse_without_keys(facts: &MapFacts, operation: &'static str) -> Result<(), Error> {
    match not_listed(facts) {
        Some((_, false, _)) => Err(explain(facts, operation, io::Error::from_raw_os_error(ENOTSUPP))),
        _ => Ok(()),
    }
}

/// Say what it means that an operation on a map failed.
pub(super) fn explain(facts: &MapFacts, operation: &'static str, source: io::Error) -> Error {
    let map = facts.name.clone();
    let errno = source.raw_os_error();
    let cause = |cause: String, hint: &str| {
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        Error::MapRefused { operation, map: map.clone(), cause, errno, hint }
    };
    let lists = matches!(operation, "read" | "drain" | "clear");
    let entries = facts.max_entries;
    match (errno, not_listed(facts)) {
        (Some(ENOTSUPP | libc::EOPNOTSUPP | libc::EINVAL), Some((what, _, way_out))) if lists => {
            cause(format!("{what} has no entries to {operation}"), way_out)
        }
        (Some(ENOTSUPP), Some((what, _, way_out))) => cause(format!("{what} has no such operation"), way_out),
        (Some(ENOTSUPP), None) => cause("maps of this type have no such operation".into(), ""),
        (Some(libc::E2BIG), None) if facts.is_array() => {
            cause(format!("it has max_entries {entries}, so that its keys are below that"), "")
        }
        (Some(libc::E2BIG), found) => {
            let room =
                found.map_or("an LRU hash drops the oldest by itself", |_| "flags=2 (BPF_EXIST) drops the oldest");
            cause(
                format!("it is full: it has max_entries {entries}"),
                &format!(
                    "declare it larger, remove entries, or use ObjectSpec.set_max_entries() before loading; {room}"
                ),
            )
        }
        (Some(libc::ENOSPC), None) if facts.is_any(&[BPF_MAP_TYPE_LPM_TRIE]) => {
            cause(format!("it is full: it has max_entries {entries}"), "declare it larger, or remove entries")
        }
        _ => Error::Map { operation, map, source },
    }
}
