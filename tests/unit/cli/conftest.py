"""A measurement that measures nothing and a recording that is made up, for commands to be tested on."""

from __future__ import annotations

import os
import signal
import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

from rtrace.cli import run
from rtrace.errors import LostEventsWarning
from rtrace.histogram import Histogram
from rtrace.trace import Trace
from rtrace.trace_fields import FieldFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from rtrace.errors import RtraceError


def make(calls: int = 3, **facts: Any) -> Histogram:
    counts = np.zeros(64, np.uint64)
    counts[2] = calls
    shared = {
        "unit": "us",
        "target": "vfs_read",
        "mechanism": "syscall",
        "tool": "vfsreadlat",
        "duration": float(calls),
    }
    return Histogram(counts=counts, sum_ns=5000 * calls, **{**shared, **facts})


class Measurement:
    """Counts three calls more for each snapshot."""

    mechanism = "syscall"
    boundary = "entry to exit of read"

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.refused: dict[str, RtraceError] = {}
        self.calls = 0
        self.closed = False

    def snapshot(self) -> Histogram:
        self.calls += 3
        return make(self.calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """Return the list of measurements that commands have made; none of them traces."""
    measurements: list[Measurement] = []

    def attach(*arguments: str, **options: Any) -> Measurement:
        measurements.append(Measurement(arguments=arguments, **options))
        return measurements[-1]

    monkeypatch.setattr("rtrace.tools.vfsreadlat.vfsreadlat", attach)
    monkeypatch.setattr("rtrace.shapes.function_latency.function_latency", attach)
    return measurements


@pytest.fixture
def rtrace(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command and returns its status, output and errors."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(list(words))
        return status, *capsys.readouterr()

    return call


FIELDS = {
    "ts_ns": FieldFacts(unit="ns"),
    "dev": FieldFacts(format="dev"),
    "rwbs": FieldFacts(flags={1: "SYNC", 8: "META"}),
}
EVENT = np.dtype(
    [
        ("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("comm", "S16"), ("cpu", "u4"),
        ("dev", "u4"), ("rwbs", "u4"), ("bytes", "i8"), ("cmd", "S16"), ("args", "u4", (2,)),
    ]
)  # fmt: skip
FIRST_NS = 5_000_000_000


def make_events(count: int, start: int = 0) -> NDArray[np.void]:
    """Return events 1 ms apart; no two are the same."""
    events = np.zeros(count, EVENT)
    number = np.arange(start, start + count)
    events["ts_ns"] = FIRST_NS + number * 1_000_000
    events["pid"], events["tid"], events["cpu"] = 7, 8 + number, number % 2
    events["comm"], events["cmd"] = b"dd", b"a b"
    events["dev"], events["rwbs"], events["bytes"] = 8 << 20 | 16, 9, number * 512
    events["args"] = [1, 2]
    return events


def make_trace(records: NDArray[np.void], **facts: Any) -> Trace:
    names = records.dtype.names or ()
    fields = {name: item for name, item in FIELDS.items() if name in names}
    return Trace(**{"records": records, "target": "block:made_up", "fields": fields, **facts})


class Recording:
    """Hands out batches; when there are no more, somebody hits Ctrl-C."""

    dtype = EVENT

    def __init__(self, batches: list[NDArray[np.void]], options: dict[str, Any]) -> None:
        self.batches = batches
        self.options = options
        self.lost: dict[str, int] = {}
        self.closed = False

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        assert timeout is not None
        if self.batches:
            return self.batches.pop(0)
        if timeout:
            os.kill(os.getpid(), signal.SIGINT)
        return np.empty(0, self.dtype)

    def losses(self) -> dict[str, int]:
        return self.lost

    def trace(self, batches: list[NDArray[np.void]]) -> Trace:
        if self.lost:
            warnings.warn("records are missing", LostEventsWarning, stacklevel=2)
        records = np.concatenate([make_events(0), *batches])
        return make_trace(records, losses=self.lost, clock_offset_ns=10**18, duration=99.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Recording]]:
    """Return a function that sets what the next recording will hand out; it returns the list of recordings made."""

    def prepare(*batches: NDArray[np.void], lost: dict[str, int] | None = None) -> list[Recording]:
        made: list[Recording] = []

        def attach(*targets: str, **options: Any) -> Recording:
            made.append(Recording(list(batches), {"targets": targets, **options}))
            made[-1].lost = lost or {}
            return made[-1]

        monkeypatch.setattr("rtrace.shapes.tracepoint_events.tracepoint_events", attach)
        return made

    return prepare


FORMAT = """\
name: made_up
ID: 7
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:dev_t dev;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:char rwbs[8];	offset:16;	size:8;	signed:0;
	field:int state;	offset:24;	size:4;	signed:1;
	field:int prio;	offset:28;	size:4;	signed:1;
	field:__data_loc char[] cmd;	offset:32;	size:4;	signed:0;
	field:unsigned long args[6];	offset:40;	size:48;	signed:0;

print fmt: "%d,%d %s\\n", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), \
__print_flags(REC->state & 7, "|", { 0x1, "S" }, { 0x2, "D" }), __print_symbolic(REC->prio, { 0, "none" }, \
{ IDLE, "idle" })
"""


@pytest.fixture
def events_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder like tracefs' events; commands find it in place of the kernel's."""
    for target in ("block:made_up", "block:other", "sched:sched_made", "syscalls:sys_enter_made"):
        folder = tmp_path.joinpath(*target.split(":"))
        folder.mkdir(parents=True)
        (folder / "format").write_text(FORMAT)
    (tmp_path / "enable").write_text("0\n")
    monkeypatch.setattr("rtrace.tracefs.events_folder", lambda: str(tmp_path))
    return tmp_path
