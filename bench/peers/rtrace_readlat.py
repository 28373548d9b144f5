"""The latency of reads with rtrace: ``rtrace_readlat.py auto|fentry|kprobe|syscall``."""

from __future__ import annotations

import signal
import sys

import rtrace

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
reads = rtrace.vfsreadlat(mechanism=sys.argv[1])
print("attached", reads.mechanism, flush=True)
signal.sigwait({signal.SIGINT})
reads.snapshot().print()
reads.close()
