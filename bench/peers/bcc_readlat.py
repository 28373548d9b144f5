"""The latency of reads with bcc: ``bcc_readlat.py tracepoint|kprobe``, for Debian's python3-bpfcc."""

from __future__ import annotations

import signal
import sys

from bcc import BPF  # type: ignore[import-not-found]

TABLES = """
#include <uapi/linux/ptrace.h>

BPF_HASH(start, u32, u64);
BPF_HISTOGRAM(dist);

static inline void enter(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 ts_ns = bpf_ktime_get_ns();

    start.update(&tid, &ts_ns);
}

static inline void leave(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 *ts_ns = start.lookup(&tid);

    if (!ts_ns)
        return;
    dist.increment(bpf_log2l((bpf_ktime_get_ns() - *ts_ns) / 1000));
    start.delete(&tid);
}
"""
TRACEPOINTS = """
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    enter();
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
    leave();
    return 0;
}
"""
KPROBES = """
int readlat_entry(struct pt_regs *ctx)
{
    enter();
    return 0;
}

int readlat_return(struct pt_regs *ctx)
{
    leave();
    return 0;
}
"""


def main(mechanism: str) -> None:
    """Attach, say so, and print the histogram when interrupted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if mechanism == "tracepoint":
        program = BPF(text=TABLES + TRACEPOINTS)
    else:
        program = BPF(text=TABLES + KPROBES)
        program.attach_kprobe(event="vfs_read", fn_name="readlat_entry")
        program.attach_kretprobe(event="vfs_read", fn_name="readlat_return")
    print("attached", flush=True)
    signal.sigwait({signal.SIGINT})
    program["dist"].print_log2_hist("usecs")


main(sys.argv[1])
