#!/usr/bin/python3
"""How many bytes a process copies from file to file, by a tracepoint and the trace pipe."""

import sys

from bcc import BPF
from bcc.utils import printb

b = BPF(
    text="""
TRACEPOINT_PROBE(syscalls, sys_enter_sendfile64) {
    if (bpf_get_current_pid_tgid() >> 32 != PID)
        return 0;
    bpf_trace_printk("%d\\n", args->count);
    return 0;
}
""".replace("PID", sys.argv[1])
)

print("%-18s %-16s %-6s %s" % ("TIME(s)", "COMM", "PID", "BYTES"), flush=True)
while True:
    try:
        (task, pid, cpu, flags, ts, msg) = b.trace_fields()
        printb(b"%-18.9f %-16s %-6d %s" % (ts, task, pid, msg))
    except ValueError:
        continue
    except KeyboardInterrupt:
        exit()
