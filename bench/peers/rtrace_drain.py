"""Fill a ring buffer, then read all of it into one numpy array with rtrace: ``rtrace_drain.py OBJECT ROUNDS``."""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

import rtrace

# As in c/events.h.
PER_HIT = 1024
EVENT = np.dtype([("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("number", "u8"), ("spare", "u8")])


def main(path: str, rounds: int) -> None:
    """Fill, read and check, so many times."""
    spec = rtrace.ObjectSpec.open(path)
    hits = spec.maps["EVENTS"] // (EVENT.itemsize + 8) // PER_HIT + 1
    spec.set_global("TARGET_PID", os.getpid())
    with spec.load({"fill": None}) as loaded, loaded.attach_tracepoint("fill", "syscalls", "sys_enter_getppid"):
        for _ in range(rounds):
            for _ in range(hits):
                os.getppid()
            wall, cpu = time.monotonic_ns(), time.process_time_ns()
            ring = loaded.ring_buffer("EVENTS", record_bytes=EVENT.itemsize)
            records = ring.read(0).view(EVENT)
            facts = {"wall_ns": time.monotonic_ns() - wall, "cpu_ns": time.process_time_ns() - cpu}
            ring.close()
            assert np.array_equal(records["number"], np.arange(len(records)) % PER_HIT)  # noqa: S101
            print(json.dumps({"records": len(records), **facts}), flush=True)
            del records


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
