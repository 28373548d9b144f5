"""``rtrace trace``: events as they come, as text or into a file, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.cli import event_run
from rtrace.errors import TargetNotFoundError
from rtrace.stop import Stop
from rtrace.trace import Trace
from tests.unit.cli.conftest import FIRST_NS, Recording, make_events
from tests.unit.cli.test_main import HEAVY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]
    Prepare = Callable[..., list[Recording]]

GREETED = f"{event_run.GREETING.format('block:made_up')}\n"
HEADING = "        TIME(s)  COMM                 PID     TID CPU  block:made_up\n"
FIELDS = "dev=8,16  rwbs=SYNC|META"


def test_a_line_for_each_event(rtrace: Call, recorded: Prepare) -> None:
    made = recorded(make_events(2), make_events(1, 2))
    status, out, err = rtrace("trace", "block:made_up")
    assert (status, out) == (
        0,
        HEADING
        + f'       0.000000  dd                     7       8   0  {FIELDS}  bytes=0    cmd="a b"  args=1,2\n'
        + f'       0.001000  dd                     7       9   1  {FIELDS}  bytes=512  cmd="a b"  args=1,2\n'
        + f'       0.002000  dd                     7      10   0  {FIELDS}  bytes=1024  cmd="a b"  args=1,2\n',
    )
    assert err.startswith(f"{GREETED}3 events in ")
    assert err.endswith(" per second; lost: 0 events\n")
    assert made[0].closed


def test_values_stay_below_each_other(rtrace: Call, recorded: Prepare) -> None:
    recorded(make_events(1, 2), make_events(1, 1))
    _, out, _ = rtrace("trace", "block:made_up")
    places = [line.index("cmd=") for line in out.splitlines()[1:]]
    assert places[0] == places[1]


def test_what_is_no_character_to_be_seen_is_escaped(rtrace: Call, recorded: Prepare) -> None:
    events = make_events(1)
    events["comm"], events["cmd"] = b"a\x1b[2J\n", b"\xff\tx"
    recorded(events)
    _, out, _ = rtrace("trace", "block:made_up")
    assert out.count("\n") == 2
    assert "  a\\x1b[2J\\n       " in out
    assert "  cmd=\N{REPLACEMENT CHARACTER}\\tx  " in out


def test_empty_text_is_quoted(rtrace: Call, recorded: Prepare) -> None:
    events = make_events(1)
    events["cmd"] = b""
    recorded(events)
    assert '  cmd=""  ' in rtrace("trace", "block:made_up")[1]


def test_a_tracepoint_without_fields(rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_header(*_: Any) -> Trace:
        return Trace(records=make_events(0)[["ts_ns", "pid", "tid", "comm", "cpu"]], target="block:made_up")

    recorded(make_events(1)[["ts_ns", "pid", "tid", "comm", "cpu"]])
    monkeypatch.setattr(Recording, "trace", only_header)
    line = "       0.000000  dd                     7       8   0  \n"
    assert rtrace("trace", "block:made_up")[1] == HEADING + line


def test_the_time_of_day(rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-02:00")
    time.tzset()
    recorded(make_events(2))
    try:
        _, out, _ = rtrace("trace", "--wall", "block:made_up")
    finally:
        monkeypatch.undo()
        time.tzset()
    # 10**18 + 5 * 10**9 ns since 1970 is 01:46:45 UTC.
    assert [line[:15] for line in out.splitlines()] == ["           TIME", "03:46:45.000000", "03:46:45.001000"]


def test_json(rtrace: Call, recorded: Prepare) -> None:
    recorded(make_events(2), make_events(1, 2))
    status, out, err = rtrace("trace", "--json", "block:made_up")
    assert status == 0
    assert err.startswith(GREETED)
    found = [json.loads(line) for line in out.splitlines()]
    assert found[2] == {
        "ts_ns": FIRST_NS + 2_000_000, "pid": 7, "tid": 10, "comm": "dd", "cpu": 0, "dev": 8388624, "rwbs": 9,
        "bytes": 1024, "cmd": "a b", "args": [1, 2],
    }  # fmt: skip
    assert len(found) == 3


def test_csv_has_one_line_of_names(rtrace: Call, recorded: Prepare) -> None:
    recorded(make_events(2), make_events(1, 2))
    status, out, _ = rtrace("trace", "--csv", "block:made_up")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["bytes"] for row in rows] == ["0", "512", "1024"]
    assert (rows[0]["cmd"], rows[0]["args"], rows[0]["dev"]) == ("a b", "1 2", "8388624")


@pytest.mark.parametrize("way", ["--json", "--csv", "--wall"])
def test_nothing_came(rtrace: Call, recorded: Prepare, way: str) -> None:
    recorded()
    status, out, err = rtrace("trace", way, "block:made_up")
    assert (status, out.count("\n")) == (0, int(way != "--json"))
    assert "\n0 events in " in err


def test_exactly_so_many(rtrace: Call, recorded: Prepare) -> None:
    made = recorded(make_events(3), make_events(100, 3))
    status, out, err = rtrace("trace", "-n", "5", "--json", "block:made_up")
    assert (status, [json.loads(line)["bytes"] // 512 for line in out.splitlines()]) == (0, [0, 1, 2, 3, 4])
    assert "\n5 events in " in err
    assert made[0].closed


def test_one_event_is_no_plural(rtrace: Call, recorded: Prepare) -> None:
    recorded(make_events(2))
    assert "\n1 event in " in rtrace("trace", "-n", "1", "block:made_up")[2]


def test_batches_are_put_in_order(rtrace: Call, recorded: Prepare) -> None:
    recorded(make_events(5)[::-1], make_events(2, 5))
    _, out, _ = rtrace("trace", "--json", "block:made_up")
    assert [json.loads(line)["bytes"] // 512 for line in out.splitlines()] == [0, 1, 2, 3, 4, 5, 6]


def test_what_was_hit_before_the_end_is_there_and_nothing_later(rtrace: Call, recorded: Prepare) -> None:
    late = make_events(2, 3)
    late["ts_ns"] = 1 << 62
    # The first read lasts longer than the time; the rest has been there by then.
    made = recorded(make_events(1), make_events(1, 1), np.concatenate([make_events(1, 2), late]), make_events(1, 9))
    _, out, err = rtrace("trace", "-d", "1ns", "--json", "block:made_up")
    assert [json.loads(line)["bytes"] // 512 for line in out.splitlines()] == [0, 1, 2]
    assert "\n3 events in " in err
    assert len(made[0].batches) == 1


def test_what_it_does_to_start_is_left_out(rtrace: Call, recorded: Prepare) -> None:
    events = make_events(4)
    events["pid"][1:3] = os.getpid()
    # Later, it counts like everybody else.
    later = make_events(1)
    later["ts_ns"], later["pid"] = 1 << 62, os.getpid()
    recorded(events, later)
    _, out, _ = rtrace("trace", "--json", "block:made_up")
    assert [json.loads(line)["pid"] for line in out.splitlines()] == [7, 7, os.getpid()]


def test_losses_are_told_at_once_and_at_the_end(
    rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_run, "LOSSES", 0.0)
    recorded(make_events(1), make_events(1), lost={"records_lost": 1, "hits_missed": 2})
    status, _, err = rtrace("trace", "block:made_up")
    lost = "lost: 3 events (1 record lost, 2 hits missed)"
    assert status == 0
    assert err.startswith(f"{GREETED}warning: {lost}\n2 events in ")
    assert err.endswith(f"; {lost}\n")
    assert err.count("\n") == 3


@pytest.mark.parametrize("name", ["made.npz", "made.csv"])
def test_a_file_and_nothing_else(rtrace: Call, recorded: Prepare, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    recorded(make_events(2), make_events(1, 2), lost={"records_lost": 1})
    status, out, err = rtrace("trace", "-o", str(file), "block:made_up")
    assert (status, out) == (0, "")
    assert err.startswith(f"{GREETED}3 events in ")
    assert err.endswith(f" per second; lost: 1 event (1 record lost); saved to {file}\n")
    if name.endswith(".npz"):
        found = Trace.load(file)
        assert found["bytes"].tolist() == [0, 512, 1024]
        assert found.lost == 1
        assert found.duration < 99
    else:
        assert [row["bytes"] for row in csv.DictReader(file.read_text().splitlines())] == ["0", "512", "1024"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("words", "of"), [(["-d", "60"], " of 60"), ([], "")])
def test_a_terminal_sees_progress(
    rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch, words: list[str], of: str
) -> None:
    recorded(make_events(2))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Trace, "save", lambda *_: None)
    assert rtrace("trace", *words, "-o", "made.npz", "block:made_up")[0] == 0
    assert re.search(rf"\r\d+\.\d{of} s, 2 events", terminal.getvalue())
    assert "\r\x1b[K2 events in " in terminal.getvalue()


def test_the_options_reach_the_library(rtrace: Call, recorded: Prepare) -> None:
    made = recorded()
    words = ["-p", "1", "-t", "2", "--cgroup", "/", "--filter", "bytes > 3", "--fields", "bytes, dev"]
    assert rtrace("trace", "block:made_up", *words)[0] == 0
    assert made[0].options == {
        "targets": ("block:made_up",), "pid": 1, "tid": 2, "cgroup": "/", "filter": "bytes > 3",
        "fields": ["bytes", "dev"], "tool": "trace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: CATEGORY:NAME"),
        (["a:b", "c:d"], "unrecognized arguments: c:d"),
        (["a:b", "-n", "0"], "argument -n/--count: '0' must be 1 or more"),
        (["a:b", "-d", "0"], "argument -d/--duration: '0' is no time at all; it must be more than 0"),
        (["a:b", "--fields", "a,,b"], "argument --fields: 'a,,b' is not a list of names like a,b"),
        (["a:b", "--fields", ""], "argument --fields: '' is not a list of names like a,b"),
        (["a:b", "--json", "--csv"], "argument --csv: not allowed with argument --json"),
        (["a:b", "--wall", "-o", "x.npz"], "argument --wall: not allowed with argument -o/--output"),
        (["a:b", "--wall", "--json"], "argument --json: not allowed with argument --wall"),
    ],
)
def test_wrong_words(rtrace: Call, recorded: Prepare, words: list[str], said: str) -> None:
    made = recorded()
    hint = "hint: `rtrace trace --help` lists what it takes"
    assert rtrace("trace", *words) == (2, "", f"rtrace: error: {said}\n{hint}\n")
    assert made == []


def test_the_help_promises_no_patterns_that_there_are_not(rtrace: Call) -> None:
    _, out, _ = rtrace("trace", "--help")
    assert "~, where a\n* at the end stands for any characters" in out
    assert "glob" not in out


def test_what_is_no_name_of_a_tracepoint(rtrace: Call, recorded: Prepare) -> None:
    made = recorded()
    status, out, err = rtrace("trace", "made_up")
    assert (status, out, made) == (2, "", [])
    assert err.endswith("\nhint: `rtrace list PATTERN` lists the kernel's tracepoints\n")


@pytest.mark.parametrize("file", ["/no/such/folder/x.npz"])
def test_a_file_that_cannot_be_written_is_told_before(rtrace: Call, recorded: Prepare, file: str) -> None:
    made = recorded()
    assert rtrace("trace", "a:b", "-o", file) == (1, "", f"rtrace: error: save to `{file}`: no such folder\n")
    assert made == []


def test_a_library_that_is_missing_is_told_before(
    rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    said = "rtrace: error: save to `x.parquet`: pyarrow is not installed\nhint: pip install pyarrow, or save as .npz\n"
    assert rtrace("trace", "a:b", "-o", "x.parquet") == (1, "", said)
    assert made == []


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            ValueError("parse filter `x`: column 1: no field `x`"),
            2,
            "parse filter `x`: column 1: no field `x`\nhint: `rtrace format block:made_up` lists its fields",
        ),
        (
            TargetNotFoundError("no such tracepoint", hint="did you mean b?"),
            1,
            "no such tracepoint\nhint: did you mean b?",
        ),
    ],
)
def test_errors_of_the_library(
    rtrace: Call, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: str
) -> None:
    def attach(*_: str, **__: object) -> None:
        raise error

    monkeypatch.setattr("rtrace.shapes.tracepoint_events.tracepoint_events", attach)
    assert rtrace("trace", "block:made_up") == (status, "", f"rtrace: error: {said}\n")


def test_nobody_reads_any_more(rtrace: Call, recorded: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(stop: Stop) -> bool:
        stop.unread = True
        return True

    monkeypatch.setattr(Stop, "has_reason", gone)
    monkeypatch.setattr("rtrace.cli.main.discard_output", lambda: None)
    made = recorded(make_events(1))
    assert rtrace("trace", "--json", "block:made_up") == (141, "", GREETED)
    assert made[0].closed


def test_nothing_heavy_is_imported_on_the_way_to_attached() -> None:
    script = """if True:
        import sys
        from rtrace.shapes import tracepoint_events
        def attach(*targets, **options):
            print(*sys.modules)
            raise KeyboardInterrupt
        tracepoint_events.tracepoint_events = attach
        from rtrace.cli import run
        sys.exit(run(["trace", "a:b", "--json", "--fields", "c", "-n", "1"]))
    """
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
