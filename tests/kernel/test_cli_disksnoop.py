"""``rtrace disksnoop`` as a process of its own, on the running kernel."""

from __future__ import annotations

import itertools
import mmap
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.kernel.conftest import writes_of_ours

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 4096
WRITES = 5
ROW = re.compile(rf"\d+\.\d{{9}} +W  {BLOCK} +\d+\.\d\d")


def test_our_writes_are_rows(disk_file: Path) -> None:
    file = os.open(disk_file, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    command = [sys.executable, "-m", "rtrace", "disksnoop", "-n", str(WRITES)]
    command += ["--filter", writes_of_ours(disk_file, BLOCK)]
    with (
        os.fdopen(file, "r+b", buffering=0),
        mmap.mmap(-1, BLOCK) as buffer,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tracing,
    ):
        try:
            assert tracing.stdout is not None
            # Printed when it is attached.
            heading = tracing.stdout.readline()
            # On a busy machine the kernel does not run a program at every end; it ends when it has seen so many.
            for number in itertools.count():
                os.pwrite(file, buffer, number % 64 * BLOCK)
                if tracing.poll() is not None:
                    break
            out, err = tracing.communicate(timeout=60)
        finally:
            tracing.kill()
    assert tracing.returncode == 0, err
    assert heading == "TIME(s)            T  BYTES    LAT(ms)\n"
    rows = out.splitlines()
    assert len(rows) == WRITES
    assert all(map(ROW.fullmatch, rows)), rows
    times = [float(row.split()[0]) for row in rows]
    assert times == sorted(times)
    assert re.match(rf"Tracing .*\n{WRITES} events in .*; lost: \d+ events\n", err)
