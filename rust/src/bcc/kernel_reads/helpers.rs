//! What is known of the kernel's helpers, by number: `include/uapi/linux/bpf.h`.
//!
//! Helpers that are not here take five arguments and return a number. A pointer taken for a number is read by a
//! helper, which is right and slower.

use super::value::Value;

/// `bpf_probe_read`: on x86 and Arm it reads addresses of the kernel and of the current process, as bcc does.
///
/// All program types for tracing have it, with a GPL license. On failure it writes zeros.
pub(super) const PROBE_READ: i32 = 4;

/// How many arguments each helper takes, by number; the numbering is fixed for good.
const ARGUMENTS: &[u8; 212] =
    b"0242305005553300213144221543533323103232210323112543442435224224325454444443414102425513224431\
1111155433344421553333210445113053124322221111144434233541421242020315453413231111341454332101144533231442255333220442";

/// How many arguments a helper takes.
pub(super) fn arguments(helper: i32) -> u8 {
    usize::try_from(helper).ok().and_then(|helper| ARGUMENTS.get(helper)).map_or(5, |digit| digit - b'0')
}

/// What a helper returns.
pub(super) fn returns(helper: i32) -> Value {
    match helper {
        // map_lookup_elem, get_local_storage, sk_storage_get, ringbuf_reserve, inode_storage_get, task_storage_get,
        // map_lookup_percpu_elem, dynptr_data, cgrp_storage_get
        1 | 81 | 107 | 131 | 145 | 156 | 195 | 203 | 210 => Value::MEMORY,
        // sk_lookup_tcp, sk_lookup_udp, sk_fullsock, tcp_sock, get_listener_sock, skc_lookup_tcp, skc_to_* (tcp6,
        // tcp, tcp_timewait, tcp_request, udp6), per_cpu_ptr, this_cpu_ptr, get_current_task_btf, sock_from_file,
        // task_pt_regs, skc_to_unix_sock, kptr_xchg, skc_to_mptcp_sock
        84 | 85 | 95 | 96 | 98 | 99 | 136..=140 | 153 | 154 | 158 | 162 | 175 | 178 | 194 | 196 => Value::TYPED,
        _ => Value::SCALAR,
    }
}

/// Whether a helper only reads the memory that it is given.
pub(super) fn only_reads(helper: i32) -> bool {
    // map_lookup_elem, map_update_elem, map_delete_elem, trace_printk, perf_event_output, get_stackid,
    // current_task_under_cgroup, map_push_elem, ringbuf_output, map_lookup_percpu_elem
    matches!(helper, 1 | 2 | 3 | 6 | 25 | 27 | 37 | 87 | 130 | 195)
}

/// A helper that calls a function of the program's own.
pub(super) struct CallsBack {
    /// The argument that is the function.
    pub(super) function: u8,
    /// What the function is given, before the caller's own pointer.
    pub(super) given: &'static [Value],
    /// The argument that is the caller's own pointer; the function gets it last.
    pub(super) context: Option<u8>,
}

/// Whether a helper calls back, and with what.
pub(super) fn calls_back(helper: i32) -> Option<CallsBack> {
    const ELEMENT: &[Value] = &[Value::MEMORY, Value::MEMORY, Value::MEMORY];
    let (function, given, context) = match helper {
        // for_each_map_elem: map, key, value
        164 => (2, ELEMENT, Some(3)),
        // timer_set_callback: map, key, value
        170 => (2, ELEMENT, None),
        // find_vma: task, vma
        180 => (3, &[Value::TYPED, Value::TYPED] as &[Value], Some(4)),
        // loop: index
        181 => (2, &[Value::SCALAR] as &[Value], Some(3)),
        // user_ringbuf_drain: dynptr
        209 => (2, &[Value::MEMORY] as &[Value], Some(3)),
        _ => return None,
    };
    Some(CallsBack { function, given, context })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_counted() {
        let known = [(1, 2), (2, 4), (4, 3), (5, 0), (6, 5), (14, 0), (16, 2), (25, 5), (113, 3), (130, 4), (211, 2)];
        for (helper, count) in known {
            assert_eq!(arguments(helper), count, "helper {helper}");
        }
        assert_eq!([arguments(-1), arguments(212), arguments(i32::MAX)], [5; 3]);
    }
}
