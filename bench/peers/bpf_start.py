"""One script for both: ``bpf_start.py rtrace|bcc PROGRAM tracepoint|kprobe`` makes a BPF object and attaches it.

Says ``attached`` and the nanoseconds that ``BPF(...)`` took, and stays until it is interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import time

BPF = __import__(sys.argv[1]).BPF

ON_GETPPID = "TRACEPOINT_PROBE(syscalls, sys_enter_getppid) { return 0; }\n"
TEXTS = {
    "one_line": ON_GETPPID,
    "sched": """
#include <linux/sched.h>

int on_switch(struct pt_regs *ctx, struct task_struct *task)
{
    bpf_trace_printk("%d", task->tgid);
    return 0;
}
"""
    + ON_GETPPID,
    "blk_mq": """
#include <linux/blk-mq.h>

int on_request(struct pt_regs *ctx, struct request *request)
{
    bpf_trace_printk("%d", request->__data_len);
    return 0;
}
"""
    + ON_GETPPID,
    "sock": """
#include <net/sock.h>

int on_connect(struct pt_regs *ctx, struct sock *sk)
{
    bpf_trace_printk("%d", sk->__sk_common.skc_family);
    return 0;
}
"""
    + ON_GETPPID,
}
TUTORIAL = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "data", "bcc", "vfsreadlat.c")


def start(program: str, mechanism: str) -> tuple[object, int]:
    """Make the object and attach it; the small ones attach themselves as they are made."""
    facts = {"src_file": TUTORIAL} if program == "vfsreadlat" else {"text": TEXTS[program]}
    began = time.perf_counter_ns()
    b = BPF(**facts)
    took = time.perf_counter_ns() - began
    if program == "vfsreadlat" and mechanism == "kprobe":
        b.attach_kprobe(event="vfs_read", fn_name="on_entry")
        b.attach_kretprobe(event="vfs_read", fn_name="on_return")
    elif program == "vfsreadlat":
        b.attach_tracepoint(tp="syscalls:sys_enter_read", fn_name="on_entry")
        b.attach_tracepoint(tp="syscalls:sys_exit_read", fn_name="on_return")
    return b, took


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
kept, constructor_ns = start(*sys.argv[2:])
print("attached", constructor_ns, flush=True)
signal.sigwait({signal.SIGINT})
