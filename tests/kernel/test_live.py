"""Measurements looked at while they run, in a terminal: Ctrl-C ends it, and the result is exact."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import rtrace
from rtrace.liveview.screens import PlainScreen

CALLS = 10_007
ENTER, EXIT = "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"
# Without rich in the second case.
SCRIPT = """
import sys
if {plain}:
    sys.modules["rich.live"] = None
import rtrace
with rtrace.vfsreadlat() as t:
    found = t.live(interval=0.05)
assert t.closed and t.result is found and found.duration > 0
print("after", found.target)
"""


class Silent(PlainScreen):
    """Calls at the second frame, stops at the third."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, frames: object, *, ended: bool) -> None:
        del frames
        self.drawn += 1
        if self.drawn == 2:
            for _ in range(CALLS):
                os.getppid()
        elif self.drawn == 3 and not ended:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("plain", [False, True])
def test_ctrl_c_in_a_terminal(*, plain: bool) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(plain=plain)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
    )
    os.close(theirs)
    shown = ""
    while "after vfs_read" not in shown:
        before = shown.count("Ctrl-C")
        shown += os.read(ours, 65536).decode(errors="replace")
        if before < 2 <= shown.count("Ctrl-C"):
            process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, complaints) == (0, b"")
    last = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).rpartition("vfs_read: ")[2]
    assert "; ended, by " in last


def test_every_event_is_in_the_result() -> None:
    with rtrace.tracepoint_latency(ENTER, EXIT, key="__syscall_nr", pid=os.getpid()) as events:
        (found,) = rtrace.live(events, interval=0.01, screen=Silent())
    assert isinstance(found, rtrace.Trace)
    assert len(found) == CALLS
    assert (np.diff(found["ts_ns"].astype(np.int64)) > 0).all()
    assert found.lost == 0
    assert events.result is found


def test_every_pair_is_in_the_histogram() -> None:
    with rtrace.tracepoint_latency(ENTER, EXIT, key="tid", pid=os.getpid(), output="histogram", by="comm") as pairs:
        (found,) = rtrace.live(pairs, interval=0.01, screen=Silent())
    assert isinstance(found, rtrace.Histogram)
    assert [part.total for part in found.groups.values()] == [CALLS]
    assert found.lost == 0
    assert pairs.result is found
