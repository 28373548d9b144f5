"""What rtrace does, on this machine, now: `make demo` runs the tutorial's three tools on small workloads of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from typing import TYPE_CHECKING

import rtrace

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 4096


def read_files() -> None:
    """Read real files, so that there is something to see on an idle machine."""
    for folder, _, names in os.walk(os.path.dirname(os.__file__)):
        for name in names[:20]:
            with open(os.path.join(folder, name), "rb") as file:
                while file.read(65536):
                    pass


def read_random() -> None:
    """Take random bytes from the device."""
    with open("/dev/urandom", "rb", buffering=0) as device:
        for size in (16, 256, 1024):
            device.read(size)


def write_disk() -> None:
    """Write blocks that have to reach the disk."""
    with tempfile.NamedTemporaryFile(dir=os.path.expanduser("~")) as file:
        for _ in range(8):
            file.write(os.urandom(BLOCK))
            file.flush()
            os.fsync(file.fileno())


def busy(work: Callable[[], None], stop: threading.Event) -> None:
    """Work until told to stop."""
    while not stop.is_set():
        work()


def during(work: Callable[[], None], measure: Callable[[], rtrace.Histogram | rtrace.Trace]) -> object:
    """Measure while something is going on."""
    stop = threading.Event()
    worker = threading.Thread(target=busy, args=(work, stop))
    worker.start()
    try:
        return measure()
    finally:
        stop.set()
        worker.join()


def main() -> int:
    """Run the three tools one after the other."""
    try:
        print("1. vfsreadlat: how long the reads of this machine take (3 s)\n", flush=True)
        hist = during(read_files, lambda: rtrace.vfsreadlat(duration=3))
        assert isinstance(hist, rtrace.Histogram)
        hist.print()
        print(f"\n{hist.total} reads, mean {hist.mean:.1f} {hist.unit}, lost {hist.lost}")
        print(f"mechanism: {hist.mechanism} ({hist.boundary})")

        print("\n2. urandomread: who reads random bits (1 s)\n", flush=True)
        with rtrace.urandomread() as recorded:
            trace = during(read_random, lambda: recorded.trace([recorded.read(1)]))
            assert isinstance(trace, rtrace.Trace)
            trace.print(6)
            print(f"mechanism: {recorded.mechanism} ({recorded.boundary})")

        print("\n3. disksnoop: size and latency of disk requests (1 s)\n", flush=True)
        trace = during(write_disk, lambda: rtrace.disksnoop(duration=1))
        assert isinstance(trace, rtrace.Trace)
        trace.print(6)
    except rtrace.RtraceError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
