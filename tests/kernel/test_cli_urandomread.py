"""``rtrace urandomread`` as a process of its own, on the running kernel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

READS = 7


def test_our_reads_are_rows() -> None:
    command = [sys.executable, "-m", "rtrace", "urandomread", "-t", str(threading.get_native_id()), "-n", str(READS)]
    with (
        open("/dev/urandom", "rb", buffering=0) as device,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tracing,
    ):
        try:
            assert tracing.stdout is not None
            # Printed when it is attached.
            heading = tracing.stdout.readline()
            for _ in range(READS):
                device.read(1024)
            out, err = tracing.communicate(timeout=60)
        finally:
            tracing.kill()
    assert tracing.returncode == 0, err
    assert heading == "TIME(s)            COMM             PID    GOTBITS\n"
    rows = out.splitlines()
    assert len(rows) == READS
    row = re.compile(rf"\d+\.\d{{9}} +\S+ +{os.getpid()} +8192")
    assert all(map(row.fullmatch, rows)), rows
