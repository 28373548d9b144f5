"""``vfsreadlat`` and ``funclatency``: options, intervals, output, early ends."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.cli import measure, talk
from rtrace.errors import LostEventsWarning, NotSupportedError
from rtrace.histogram import Histogram
from rtrace.stop import Stop
from tests.unit.cli.conftest import Measurement, make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

THREE_CALLS = """
     usecs               : count     distribution
         0 -> 1          : 0        |                                        |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 3        |****************************************|
"""


def test_each_interval_has_its_own_histogram(rtrace: Call, made: list[Measurement]) -> None:
    status, out, err = rtrace("vfsreadlat", "0.01", "3")
    assert (status, err) == (0, "")
    assert out == f"{measure.GREETING}\n" + 3 * THREE_CALLS
    assert made[0].closed


def test_a_duration_makes_one_histogram(rtrace: Call, made: list[Measurement]) -> None:
    started = time.monotonic()
    status, out, _ = rtrace("vfsreadlat", "-d", "20ms")
    assert time.monotonic() - started >= 0.02
    assert (status, out) == (0, f"{measure.GREETING}\n{THREE_CALLS}")
    assert made[0].calls == 3


def test_a_duration_cuts_the_last_interval(rtrace: Call, made: list[Measurement]) -> None:
    status, out, _ = rtrace("vfsreadlat", "10", "-d", "10ms")
    assert (status, out.count("usecs")) == (0, 1)
    assert made[0].calls == 3


def test_the_options_reach_the_library(rtrace: Call, made: list[Measurement]) -> None:
    words = "1us 1 -p 1 -t 2 --cgroup / --mechanism kprobe --by tid --unit ns --min-latency 5ms"
    assert rtrace("vfsreadlat", *words.split())[0] == 0
    assert made[0].options == {
        "arguments": (), "pid": 1, "tid": 2, "cgroup": "/", "mechanism": "kprobe", "by": "tid", "unit": "ns",
        "min_latency": 0.005,
    }  # fmt: skip


def test_funclatency_takes_any_function(rtrace: Call, made: list[Measurement]) -> None:
    assert rtrace("funclatency", "vfs_write", "1ms", "1")[0] == 0
    assert made[0].options["arguments"] == ("vfs_write",)
    assert made[0].options["tool"] == "funclatency"


def test_json_is_one_object_per_line_and_nothing_else(rtrace: Call, made: list[Measurement]) -> None:
    status, out, err = rtrace("vfsreadlat", "0.01", "2", "--json")
    assert (status, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["total"] for one in found] == [3, 3]
    assert {"target", "unit", "mechanism", "boundary", "buckets", "lost", "duration"} <= found[0].keys()
    assert made[0].closed


def test_the_file_holds_the_whole(rtrace: Call, made: list[Measurement], tmp_path: Path) -> None:
    file = tmp_path / "reads.npz"
    assert rtrace("vfsreadlat", "0.01", "3", "-o", str(file))[0] == 0
    assert Histogram.load(file).total == made[0].calls == 9


@pytest.mark.parametrize("file", ["/no/such/folder/x.npz", "/"])
def test_a_file_that_cannot_be_written_is_told_before(rtrace: Call, made: list[Measurement], file: str) -> None:
    status, out, err = rtrace("vfsreadlat", "0.01", "1", "-o", file)
    assert (status, out, made) == (1, "", [])
    assert err.startswith(f"rtrace: error: save to `{file}`: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0"], "argument interval: '0' is no time at all; it must be more than 0"),
        (["-1"], "argument interval: '-1' is not a time that can pass"),
        (["five"], "argument interval: 'five' is not a time; write seconds, or a number with ns, us, ms or s"),
        (["nan"], "argument interval: 'nan' is not a time; write seconds"),
        (["inf"], "argument interval: 'inf' is not a time that can pass"),
        (["1", "0"], "argument count: '0' must be 1 or more"),
        (["1", "2.5"], "argument count: '2.5' is not a whole number"),
        (["1", "2", "3"], "unrecognized arguments: 3"),
        (["-p", "0"], "argument -p/--pid: '0' must be 1 or more"),
        (["-p", "init"], "argument -p/--pid: 'init' is not a whole number"),
        (["-d", "0"], "argument -d/--duration: '0' is no time at all; it must be more than 0"),
        (["-p"], "argument -p/--pid: expected one argument"),
        (["--min-latency", "5h"], "argument --min-latency: '5h' is not a time"),
        (["--unit", "h"], "argument --unit: invalid choice: 'h'"),
        (["--by", "host"], "argument --by: invalid choice: 'host'"),
        (["--mechanism", "magic"], "argument --mechanism: invalid choice: 'magic'"),
        (["--dur", "1"], "unrecognized arguments: --dur"),
    ],
)
def test_wrong_words(rtrace: Call, made: list[Measurement], words: list[str], said: str) -> None:
    status, out, err = rtrace("vfsreadlat", *words)
    assert (status, out, made) == (2, "", [])
    assert err.startswith(f"rtrace: error: {said}")
    assert err.endswith("\nhint: `rtrace vfsreadlat --help` lists what it takes\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_early_end_shows_what_there_is(
    rtrace: Call, made: list[Measurement], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(measure, "announce", lambda *_: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    assert rtrace("vfsreadlat") == (0, THREE_CALLS, "")
    assert made[0].closed
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_at_once(rtrace: Call, made: list[Measurement], monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(measure, "announce", twice)
    assert rtrace("vfsreadlat") == (130, "", "")
    assert made[0].closed


def test_waiting_ends_in_time_and_on_a_signal() -> None:
    with Stop() as stop:
        assert not stop.wait(0)
        due = time.monotonic() + 0.02
        assert not stop.wait(due)
        assert time.monotonic() >= due
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(math.inf)


def test_other_signals_do_not_end_it() -> None:
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not stop.wait(time.monotonic() + 0.02)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_intervals_that_passed_unseen_are_one(made: list[Measurement], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    waits: list[float] = []

    class Clockwork(Stop):
        def wait(self, until: float) -> bool:
            waits.append(until)
            clock[0] = max(until, clock[0])
            return False

    arguments = measure_arguments(interval=2.0, count=4)
    for number, _ in enumerate(measure.histograms(Measurement(), arguments, Clockwork())):  # type: ignore[arg-type]
        clock[0] += 7.5 if number == 1 else 0.5
    assert (waits, made) == ([2.0, 4.0, 12.0, 14.0], [])


def measure_arguments(**given: Any) -> Any:
    import argparse

    return argparse.Namespace(**{"interval": None, "count": None, "duration": None, **given})


def test_losses_are_told_in_a_line(rtrace: Call, made: list[Measurement], monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(_: Measurement) -> Histogram:
        warnings.warn("vfs_read: 2 calls are missing", LostEventsWarning, stacklevel=2)
        return make(losses={"returns_missed": 2})

    monkeypatch.setattr(Measurement, "snapshot", snapshot)
    status, out, err = rtrace("vfsreadlat", "-d", "0.01")
    assert (status, err) == (0, "warning: vfs_read: 2 calls are missing\n")
    assert out.endswith("|\nlost: 2 calls (2 returns missed)\n")
    assert made[0].closed


def test_verbose_tells_what_is_timed_and_why(
    rtrace: Call, made: list[Measurement], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"kprobe": NotSupportedError("time `vfs_read` by kprobe: " + "this kernel has no kprobes " * 4)}
    attach = Measurement()
    attach.refused = refused  # type: ignore[assignment]
    monkeypatch.setattr("rtrace.tools.vfsreadlat.vfsreadlat", lambda **_: attach)
    assert rtrace("vfsreadlat", "1ms", "1")[2] == ""
    err = rtrace("vfsreadlat", "1ms", "1", "-v", "--json")[2]
    assert err.startswith("timed by syscall: entry to exit of read\nnot by kprobe: time `vfs_read` by kprobe: this")
    assert err.endswith(f"\n{measure.GREETING}\n")
    assert max(map(len, err.splitlines())) < 80
    assert made == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_progress(rtrace: Call, made: list[Measurement], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(talk, "TICK", 0.01)
    assert rtrace("vfsreadlat", "-d", "0.05")[0] == 0
    assert terminal.getvalue().startswith("\r0.0 of 0.05 s")
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert made[0].closed


def test_intervals_do_not_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval that came late is followed by a shorter one: due times are fixed in advance."""
    clock = [100.0]
    waits: list[float] = []

    def wait(_self: talk.Progress, _stop: Stop, due: float) -> bool:
        waits.append(due)
        clock[0] = max(clock[0], due) + 0.3  # always late
        return False

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(talk.Progress, "wait", wait)
    arguments = type("Arguments", (), {"duration": None, "interval": 1.0, "count": 4})()
    measurement = type("Source", (), {"snapshot": lambda _self: make()})()
    assert len(list(measure.histograms(measurement, arguments, None))) == 4  # type: ignore[arg-type]
    assert waits == [101.0, 102.0, 103.0, 104.0]
