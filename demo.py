"""What rtrace does, on this machine, now: `make demo`."""

from __future__ import annotations

import os
import sys
import threading

import rtrace

SECONDS = 3


def read_files(stop: threading.Event) -> None:
    """Read real files over and over, so that there is something to see on an idle machine."""
    while not stop.is_set():
        for folder, _, names in os.walk(os.path.dirname(os.__file__)):
            for name in names:
                if stop.is_set():
                    return
                with open(os.path.join(folder, name), "rb") as file:
                    while file.read(65536):
                        pass


def main() -> int:
    """Time the reads of the whole machine for a few seconds."""
    stop = threading.Event()
    worker = threading.Thread(target=read_files, args=(stop,))
    worker.start()
    try:
        print(f"vfsreadlat: timing reads for {SECONDS} s ...\n")
        hist = rtrace.vfsreadlat(duration=SECONDS)
    except rtrace.RtraceError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 1
    finally:
        stop.set()
        worker.join()
    hist.print()
    print(f"\n{hist.total} reads, mean {hist.mean:.1f} {hist.unit}, lost {hist.lost}")
    print(f"mechanism: {hist.mechanism} ({hist.boundary})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
