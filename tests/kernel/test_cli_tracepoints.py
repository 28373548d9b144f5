"""``rtrace list``, ``format``, ``trace`` and ``latency`` as processes of their own, on the running kernel."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.cli.trace import GREETING
from rtrace.histogram import Histogram
from rtrace.trace import Trace
from rtrace.tracefs import format_text, tracepoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]

RTRACE = [sys.executable, "-m", "rtrace"]
# A system call that nothing makes by itself, and cheap.
HIT = "syscalls:sys_enter_getppid"
HITS = 101


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts to trace our own hits and returns when it says that it is tracing."""
    with contextlib.ExitStack() as stack:

        def call(*words: str, target: str = HIT) -> subprocess.Popen[str]:
            command = [*RTRACE, "trace", target, "-t", str(threading.get_native_id()), *words]
            started = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            stack.callback(started.kill)
            assert started.stderr is not None
            line = started.stderr.readline()
            if line != f"{GREETING.format(target)}\n":
                pytest.fail(f"rtrace did not begin: {line}{started.communicate()}")
            return started

        yield call


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RTRACE, *words], capture_output=True, text=True, check=False)


def hit(times: int = HITS) -> None:
    for _ in range(times):
        os.getppid()


def ours(event: dict[str, Any]) -> bool:
    return (int(event["pid"]), int(event["tid"])) == (os.getpid(), threading.get_native_id())


def test_exactly_so_many_as_json(start: Start) -> None:
    tracing = start("-n", str(HITS), "--json")
    hit(HITS + 6)
    out, err = tracing.communicate()
    assert tracing.returncode == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == HITS
    assert all(map(ours, found))
    assert [event["ts_ns"] for event in found] == sorted({event["ts_ns"] for event in found})
    assert err.startswith(f"{HITS} events in ")
    assert err.endswith(" per second; lost: 0 events\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_early_end_shows_all_that_was_hit(start: Start, number: signal.Signals) -> None:
    tracing = start()
    hit()
    tracing.send_signal(number)
    out, err = tracing.communicate()
    assert tracing.returncode == 0, err
    heading, *lines = out.splitlines()
    assert heading == f"        TIME(s)  COMM                 PID     TID CPU  {HIT}"
    assert len(lines) == HITS
    assert all(f" {os.getpid():>7} {threading.get_native_id():>7} " in line for line in lines)
    assert err.startswith(f"{HITS} events in ")


def test_events_come_while_it_runs(start: Start) -> None:
    tracing = start("--json")
    assert tracing.stdout is not None
    for _ in range(3):
        hit(1)
        assert ours(json.loads(tracing.stdout.readline()))
    tracing.send_signal(signal.SIGINT)
    assert tracing.communicate()[0] == ""
    assert tracing.returncode == 0


def test_csv(start: Start) -> None:
    tracing = start("--csv", "-n", str(HITS))
    hit()
    out, _ = tracing.communicate()
    found = list(csv.DictReader(out.splitlines()))
    assert len(found) == HITS
    assert all(map(ours, found))


def test_a_file_that_can_be_loaded_and_reported(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "hits.npz"
    tracing = start("-o", str(file))
    hit()
    tracing.send_signal(signal.SIGINT)
    out, err = tracing.communicate()
    assert (tracing.returncode, out) == (0, "")
    assert err.startswith(f"{HITS} events in ")
    assert err.endswith(f"; lost: 0 events; saved to {file}\n")
    trace = Trace.load(file)
    assert (len(trace), trace.target, trace.tool, trace.lost) == (HITS, HIT, "trace", 0)
    assert trace.options["tid"] == threading.get_native_id()
    assert trace.duration > 0
    reported = run("report", str(file))
    assert reported.returncode == 0, reported.stderr
    assert f"{HIT}, {HITS} events, " in reported.stdout
    assert len(run("report", str(file), "--json").stdout.splitlines()) == HITS


def test_a_duration_ends_it(start: Start) -> None:
    tracing = start("-d", "0.3", "--json")
    out, err = tracing.communicate()
    assert (tracing.returncode, out) == (0, "")
    assert err.startswith("0 events in 0.30 s, 0 per second")


def test_a_filter_and_fields(start: Start) -> None:
    tracing = start(
        "--filter", "sig == 0 and pid > 0", "--fields", "sig", "-n", "3", "--json", target="syscalls:sys_enter_kill"
    )
    for number in (signal.SIGCONT, 0, 0, signal.SIGCONT, 0):
        os.kill(os.getpid(), number)
    out, err = tracing.communicate()
    assert tracing.returncode == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert [event["sig"] for event in found] == [0, 0, 0]
    assert set(found[0]) == {"ts_ns", "pid", "tid", "comm", "cpu", "sig"}


def test_nobody_reads_any_more(start: Start) -> None:
    tracing = start()
    assert tracing.stdout is not None
    assert tracing.stderr is not None
    tracing.stdout.readline()
    tracing.stdout.close()
    assert tracing.wait() == 141
    assert tracing.stderr.read() == ""


def test_histograms_of_our_pairs(tmp_path: Path) -> None:
    """Counted in the kernel until Ctrl-C; the file holds all of it."""
    tid, file = threading.get_native_id(), tmp_path / "pairs.npz"
    words = [HIT, "syscalls:sys_exit_getppid", "--key", "tid", "-t", str(tid), "--histogram", "--by", "tid", "600"]
    with subprocess.Popen(
        [*RTRACE, "latency", *words, "-o", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tracing:
        try:
            assert tracing.stdout is not None
            # Printed when it is attached.
            assert tracing.stdout.readline() == "Tracing... Hit Ctrl-C to end.\n"
            hit()
            tracing.send_signal(signal.SIGINT)
            out, err = tracing.communicate(timeout=60)
        finally:
            tracing.kill()
    assert (tracing.returncode, err) == (0, "")
    assert f"\ntid = {tid}\n     usecs " in out
    hist = Histogram.load(file)
    assert {name: part.total for name, part in hist.groups.items()} == {tid: HITS}
    assert (hist.tool, hist.lost, hist.options) == ("latency", 0, {"tid": tid})


def test_what_the_kernel_does_not_know() -> None:
    done = run("trace", "syscalls:sys_enter_getpppid")
    assert (done.returncode, done.stdout) == (1, "")
    assert "\nhint: did you mean syscalls:sys_enter_getppid" in done.stderr
    done = run("trace", "syscalls:sys_enter_kill", "--fields", "signal")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no field 'signal'" in done.stderr
    assert done.stderr.endswith("\nhint: `rtrace format syscalls:sys_enter_kill` lists its fields\n")
    done = run("trace", "syscalls:sys_enter_kill", "--filter", "sig =")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rtrace: error: parse filter `sig =`: ")


def test_list_and_format_agree_with_the_kernel() -> None:
    done = run("list", "syscalls:sys_enter_kill", "sched:*")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == sorted([*tracepoints("sched:*"), "syscalls:sys_enter_kill"])
    assert run("format", "--raw", "sched:sched_switch").stdout == format_text("sched:sched_switch")
    found = json.loads(run("format", "--json", "sched:sched_switch").stdout)
    assert {"prev_comm", "next_pid"} <= {field["name"] for field in found["fields"]}
    shown = run("format", "sched:sched_switch").stdout
    assert f"sched:sched_switch (ID {found['id']}, " in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_picture_in_place_of_lines(start: Start, number: signal.Signals) -> None:
    """In a pipe only the last one is written, with all that was hit."""
    tracing = start("--live")
    hit()
    tracing.send_signal(number)
    out, err = tracing.communicate()
    assert (tracing.returncode, err) == (0, "")
    assert f"{HITS} events" in out
    assert "lost" not in out
