#!/usr/bin/python3
"""vfsreadlat INTERVAL COUNT: histograms of the latency of reads, by a kprobe and a kretprobe."""

from sys import argv
from time import sleep

from bcc import BPF

b = BPF(src_file="vfsreadlat.c")
b.attach_kprobe(event="vfs_read", fn_name="on_entry")
b.attach_kretprobe(event="vfs_read", fn_name="on_return")
print("Tracing... Hit Ctrl-C to end.", flush=True)
for _ in range(int(argv[2])):
    sleep(int(argv[1]))
    print()
    b["latencies"].print_log2_hist("usecs")
    b["latencies"].clear()
