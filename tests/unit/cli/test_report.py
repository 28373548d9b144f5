"""``rtrace report``: saved histograms and traces, printed."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.cli.conftest import make, make_events, make_trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    started = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    facts: dict[str, Any] = {
        "host": "vm",
        "kernel": "6.18",
        "started": started,
        "boundary": "read " * 20,
        "options": {"pid": 7},
    }
    make(**facts).save("reads.npz")
    return tmp_path


@pytest.mark.usefixtures("saved")
def test_a_saved_histogram(rtrace: Call) -> None:
    status, out, err = rtrace("report", "reads.npz")
    assert (status, err) == (0, "")
    assert (
        out
        == """\
reads.npz: vfs_read by syscall, 3 calls
timed: read read read read read read read read read read read read read read
  read read read read read read
measured: vm with Linux 6.18, 2026-01-02 03:04:05 UTC, 3 s
only: pid=7
     usecs               : count     distribution
         0 -> 1          : 0        |                                        |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 3        |****************************************|
"""
    )


@pytest.mark.usefixtures("saved")
def test_several(rtrace: Call) -> None:
    _, once, _ = rtrace("report", "reads.npz")
    assert rtrace("report", "reads.npz", "reads.npz") == (0, f"{once}\n{once}", "")


@pytest.mark.usefixtures("saved")
def test_json(rtrace: Call) -> None:
    status, out, _ = rtrace("report", "--json", "reads.npz", "reads.npz")
    assert status == 0
    assert [json.loads(line)["total"] for line in out.splitlines()] == [3, 3]


def test_facts_that_are_not_known_are_left_out(rtrace: Call, saved: Path) -> None:
    make(mechanism="", duration=0.5).save(saved / "few.npz")
    _, out, _ = rtrace("report", "few.npz")
    assert out.startswith("few.npz: vfs_read by an unknown mechanism, 3 calls\nmeasured: 0.5 s\n     usecs")


def test_files_that_are_none(rtrace: Call, saved: Path) -> None:
    (saved / "text.npz").write_text("no")
    assert rtrace("report", "none.npz") == (1, "", "rtrace: error: `none.npz`: No such file or directory\n")
    status, out, err = rtrace("report", "text.npz")
    assert (status, out) == (1, "")
    assert err.startswith("rtrace: error: ")
    assert "text.npz" in err
    assert rtrace("report")[0] == 2


@pytest.fixture
def traced(saved: Path) -> Path:
    started = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    facts: dict[str, Any] = {"host": "vm", "kernel": "6.18", "started": started, "options": {"pid": 7}}
    events = make_events(20)[["ts_ns", "pid", "comm", "bytes"]]
    make_trace(events[::-1], duration=2.0, observed={"hits": 30}, clock_offset_ns=10**18, **facts).save("disk.npz")
    make_trace(events[:2], losses={"records_lost": 1}).save("lost.npz")
    return saved


TRACED = """\
disk.npz: block:made_up, 20 events, 10 per second
measured: vm with Linux 6.18, 2026-01-02 03:04:05 UTC, 2 s
only: pid=7
observed: 30 hits
time (s)  pid  comm  bytes
0.000000    7  dd        0
0.001000    7  dd      512
0.002000    7  dd     1024
0.003000    7  dd     1536
0.004000    7  dd     2048
0.005000    7  dd     2560
0.006000    7  dd     3072
0.007000    7  dd     3584
0.008000    7  dd     4096
0.009000    7  dd     4608
... 5 more ...
0.015000    7  dd     7680
0.016000    7  dd     8192
0.017000    7  dd     8704
0.018000    7  dd     9216
0.019000    7  dd     9728
time 0 is 2001-09-09 01:46:45.000000 UTC
lost: 0 events
"""


@pytest.mark.usefixtures("traced")
def test_a_saved_trace(rtrace: Call) -> None:
    assert rtrace("report", "disk.npz") == (0, TRACED, "")


@pytest.mark.usefixtures("traced")
def test_a_short_trace_with_losses(rtrace: Call) -> None:
    expected = """\
lost.npz: block:made_up, 2 events
measured: 0 s
time (s)  pid  comm  bytes
0.000000    7  dd        0
0.001000    7  dd      512
lost: 1 event (1 record lost)
"""
    assert rtrace("report", "lost.npz") == (0, expected, "")


def test_a_trace_without_events(rtrace: Call, traced: Path) -> None:
    make_trace(make_events(0)).save(traced / "none.npz")
    status, out, _ = rtrace("report", "none.npz")
    assert (status, out) == (
        0, "none.npz: block:made_up, 0 events\nmeasured: 0 s\nno events were recorded\nlost: 0 events\n",
    )  # fmt: skip


@pytest.mark.usefixtures("traced")
def test_files_of_both_kinds(rtrace: Call) -> None:
    _, histogram, _ = rtrace("report", "reads.npz")
    assert rtrace("report", "disk.npz", "reads.npz") == (0, f"{TRACED}\n{histogram}", "")


@pytest.mark.usefixtures("traced")
def test_all_events_as_json(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrace.cli.report.BATCH", 7)
    status, out, err = rtrace("report", "--json", "disk.npz", "lost.npz")
    assert (status, err) == (0, "warning: lost.npz: lost: 1 event (1 record lost)\n")
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 22
    assert found[0] == {"ts_ns": 5_019_000_000, "pid": 7, "comm": "dd", "bytes": 9728}


@pytest.mark.usefixtures("traced")
def test_all_events_as_csv(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrace.cli.report.BATCH", 7)
    status, out, _ = rtrace("report", "--csv", "disk.npz")
    lines = out.splitlines()
    assert (status, len(lines)) == (0, 21)
    assert lines[:2] == ['"ts_ns","pid","comm","bytes"', '5019000000,7,"dd",9728']


@pytest.mark.usefixtures("traced")
def test_a_column_of_times_as_histogram(rtrace: Call) -> None:
    status, out, _ = rtrace("report", "disk.npz", "--histogram", "ts_ns", "--by", "comm", "--json")
    found = json.loads(out)
    assert (status, found["total"], [group["key"] for group in found["groups"]]) == (0, 20, ["dd"])
    status, out, _ = rtrace("report", "disk.npz", "--histogram", "ts_ns")
    assert status == 0
    assert out.startswith("disk.npz: block:made_up by tracepoint, 20 events\n")
    assert ": 20       |****" in out


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["disk.npz", "--histogram", "x"], 2, "report `disk.npz`: no column `x`; there are ts_ns, pid, comm, bytes"),
        (["disk.npz", "--histogram", "comm"], 2, "report `disk.npz`: histogram of `block:made_up`: column `comm` of "),
        (["reads.npz", "--csv"], 1, "report `reads.npz`: it holds a histogram; --csv and --histogram need a trace\n"),
        (["reads.npz", "--histogram", "x"], 1, "report `reads.npz`: it holds a histogram; "),
        (["disk.npz", "--by", "comm"], 2, "argument --by: only with --histogram\n"),
        (["disk.npz", "--csv", "--histogram", "x"], 2, "argument --csv: not allowed with argument --histogram\n"),
        (["disk.npz", "--csv", "--json"], 2, "argument --json: not allowed with argument --csv\n"),
    ],
)
def test_what_cannot_be_made_of_a_file(rtrace: Call, words: list[str], status: int, said: str) -> None:
    found, out, err = rtrace("report", *words)
    assert (found, out) == (status, "")
    assert err.startswith(f"rtrace: error: {said}")
