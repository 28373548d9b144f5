"""bcc's numbers for types of programs, and the words that native loading has for them."""

from __future__ import annotations

from rtrace.errors import NotSupportedError

# enum bpf_prog_type and, where the type alone does not say enough, enum bpf_attach_type (include/uapi/linux/bpf.h).
_KINDS = {
    1: "socket",
    2: "kprobe",
    3: "classifier",
    4: "action",
    5: "tracepoint",
    6: "xdp",
    7: "perf event",
    8: "cgroup/skb",
    9: "cgroup/sock_create",
    10: "lwt_in",
    11: "lwt_out",
    12: "lwt_xmit",
    13: "sockops",
    14: "sk_skb",
    15: "cgroup/dev",
    16: "sk_msg",
    17: "raw tracepoint",
    18: "cgroup/bind4",
    20: "lirc_mode2",
    21: "sk_reuseport",
    22: "flow_dissector",
    23: "cgroup/sysctl",
    25: "cgroup/getsockopt",
    30: "sk_lookup",
    31: "syscall",
}
_KINDS_BY_ATTACH_TYPE = {
    (8, 0): "cgroup_skb/ingress",
    (8, 1): "cgroup_skb/egress",
    (9, 2): "cgroup/sock_create",
    (9, 12): "cgroup/post_bind4",
    (9, 13): "cgroup/post_bind6",
    (9, 34): "cgroup/sock_release",
    (14, 4): "sk_skb/stream_parser",
    (14, 5): "sk_skb/stream_verdict",
    (18, 8): "cgroup/bind4",
    (18, 9): "cgroup/bind6",
    (18, 10): "cgroup/connect4",
    (18, 11): "cgroup/connect6",
    (18, 14): "cgroup/sendmsg4",
    (18, 15): "cgroup/sendmsg6",
    (18, 19): "cgroup/recvmsg4",
    (18, 20): "cgroup/recvmsg6",
    (18, 29): "cgroup/getpeername4",
    (18, 30): "cgroup/getpeername6",
    (18, 31): "cgroup/getsockname4",
    (18, 32): "cgroup/getsockname6",
    (25, 21): "cgroup/getsockopt",
    (25, 22): "cgroup/setsockopt",
    (6, 33): "xdp/devmap",
    (6, 35): "xdp/cpumap",
}


def kind_of(program_type: int, attach_type: int = -1) -> str:
    """Return the kind of programs of that type."""
    kind = _KINDS_BY_ATTACH_TYPE.get((program_type, attach_type)) or _KINDS.get(program_type)
    if kind is None:
        message = f"load a program of type {program_type}: not a type that can be loaded by number"
        hint = "programs for fentry, fexit, fmod_ret and LSM hooks are loaded when they are attached"
        raise NotSupportedError(message, feature=f"loading programs of type {program_type}", hint=hint)
    return kind
