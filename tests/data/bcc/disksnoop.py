#!/usr/bin/python3
"""Size and latency of disk requests, by two tracepoints joined by device and sector, and the trace pipe."""

from bcc import BPF
from bcc.utils import printb

b = BPF(
    text="""
struct request_key { u64 sector; u32 dev; };
struct request_start { u64 ts; u64 bytes; char kind; };
BPF_HASH(issued, struct request_key, struct request_start);

TRACEPOINT_PROBE(block, block_rq_issue) {
    struct request_key key = {};
    struct request_start start = {};
    key.dev = args->dev;
    key.sector = args->sector;
    start.ts = bpf_ktime_get_ns();
    start.bytes = args->bytes;
    start.kind = args->rwbs[0];
    issued.update(&key, &start);
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_complete) {
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    struct request_start *start = issued.lookup(&key);
    if (start) {
        bpf_trace_printk("%d %d %d\\n", start->bytes, start->kind, (bpf_ktime_get_ns() - start->ts) / 1000);
        issued.delete(&key);
    }
    return 0;
}
"""
)

print("%-18s %-2s %-7s %8s" % ("TIME(s)", "T", "BYTES", "LAT(ms)"), flush=True)
while True:
    try:
        (task, pid, cpu, flags, ts, msg) = b.trace_fields()
        (bytes_s, kind_s, us_s) = msg.split()
        printb(b"%-18.9f %-2c %-7s %8.2f" % (ts, int(kind_s), bytes_s, int(us_s) / 1000))
    except ValueError:
        continue
    except KeyboardInterrupt:
        exit()
