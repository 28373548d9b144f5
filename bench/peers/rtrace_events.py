"""Count records of a process's getppid with rtrace, until interrupted: ``rtrace_events.py PID``."""

from __future__ import annotations

import json
import signal
import sys
import time

import rtrace

stop: list[int] = []
signal.signal(signal.SIGINT, lambda *_: stop.append(1))
pid = int(sys.argv[1])
delivered = 0
with rtrace.tracepoint_events("syscalls:sys_enter_getppid", pid=pid, ring_bytes=64 << 20) as recording:
    recording.read(0)  # imports numpy
    print("attached", flush=True)
    while not stop:
        delivered += int((recording.read(0.1)["pid"] == pid).sum())
    while len(batch := recording.read(0)):
        delivered += int((batch["pid"] == pid).sum())
    lost = sum(recording.losses().values())
    print(json.dumps({"delivered": delivered, "lost": lost, "cpu_ms": time.process_time_ns() / 1e6}), flush=True)
