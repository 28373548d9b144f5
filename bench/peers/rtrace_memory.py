"""Record a process's getppid with 32 MiB at most, reading for ten seconds, stalling for the next ten, and so on.

``rtrace_memory.py PID SECONDS`` prints its resident memory each second, and after a line on its standard input what
it has got.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import rtrace

PHASE = 10.0
HIT = "syscalls:sys_enter_getppid"


def resident_kb() -> int:
    """Return resident memory."""
    found = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def main(pid: int, seconds: float) -> None:
    """Record; the process ends before this does."""
    delivered = 0
    with rtrace.tracepoint_events(HIT, pid=pid, max_bytes=32 << 20, when_full="drop_oldest") as recording:
        recording.read(0)  # imports numpy
        print("attached", flush=True)
        began = due = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            if (now - began) // PHASE % 2 == 0:
                delivered += len(recording.read(0.1))
            else:
                time.sleep(0.1)
            if now >= due:
                due += 1
                print(json.dumps({"second": now - began, "rss_kb": resident_kb()}), flush=True)
        sys.stdin.readline()
        while len(batch := recording.read(0)):
            delivered += len(batch)
        print(json.dumps({"delivered": delivered, "lost": sum(recording.losses().values())}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
