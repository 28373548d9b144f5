"""The program ``rtrace`` as a process of its own, on the running kernel."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rtrace.cli.measure import GREETING
from rtrace.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.conftest import Reader

RTRACE = [sys.executable, "-m", "rtrace"]
READS = 1009


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a command and returns when it says that it is tracing."""
    with contextlib.ExitStack() as stack:

        def call(*words: str) -> subprocess.Popen[str]:
            started = stack.enter_context(
                subprocess.Popen([*RTRACE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            stack.callback(started.kill)
            stream = started.stderr if "--json" in words else started.stdout
            assert stream is not None
            for line in stream:
                if line == f"{GREETING}\n":
                    return started
            pytest.fail(f"rtrace did not begin: {started.communicate()}")

        yield call


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RTRACE, *words], capture_output=True, text=True, check=False)


def counted(output: str) -> int:
    """Add the counts of all rows of bcc's layout."""
    return sum(int(line.split(":")[1].split("|")[0]) for line in output.splitlines() if "->" in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_early_end_prints_what_was_counted(
    start: Callable[..., subprocess.Popen[str]], reader: Reader, number: signal.Signals
) -> None:
    tracing = start("vfsreadlat", "600", "-t", str(reader.tid))
    reader.read(READS)
    tracing.send_signal(number)
    out, err = tracing.communicate()
    assert (tracing.returncode, err) == (0, "")
    assert out.startswith("\n     usecs               : count     distribution\n")
    assert counted(out) == READS


def test_a_process_is_all_its_threads(start: Callable[..., subprocess.Popen[str]], reader: Reader) -> None:
    tracing = start("vfsreadlat", "-p", str(os.getpid()))
    reader.read(READS)
    tracing.send_signal(signal.SIGINT)
    out, _ = tracing.communicate()
    assert tracing.returncode == 0
    assert counted(out) >= READS


def test_intervals_add_up(start: Callable[..., subprocess.Popen[str]], reader: Reader, tmp_path: Path) -> None:
    file = tmp_path / "reads.npz"
    tracing = start("vfsreadlat", "0.05", "-t", str(reader.tid), "--json", "-v", "-o", str(file))
    assert tracing.stdout is not None
    reader.read(READS)
    totals = [json.loads(tracing.stdout.readline())["total"]]
    reader.read(READS)
    totals.append(json.loads(tracing.stdout.readline())["total"])
    tracing.send_signal(signal.SIGINT)
    out, _ = tracing.communicate()
    totals += [json.loads(line)["total"] for line in out.splitlines()]
    assert tracing.returncode == 0
    assert sum(totals) == 2 * READS
    assert Histogram.load(file).total == 2 * READS
    assert f", {2 * READS} calls\n" in run("report", str(file)).stdout


def test_split_by_thread(start: Callable[..., subprocess.Popen[str]], reader: Reader) -> None:
    tracing = start("vfsreadlat", "--by", "tid", "-p", str(os.getpid()))
    reader.read(READS)
    tracing.send_signal(signal.SIGINT)
    out, _ = tracing.communicate()
    assert f"\ntid = {reader.tid}\n" in out


def test_a_duration_as_json() -> None:
    done = run("vfsreadlat", "-d", "0.3", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["duration"] >= 0.3
    assert (found["target"], found["tool"]) == ("vfs_read", "vfsreadlat")


def test_one_line_for_each_interval() -> None:
    done = run("vfsreadlat", "0.25", "5", "--json")
    durations = [json.loads(line)["duration"] for line in done.stdout.splitlines()]
    assert len(durations) == 5
    # How late a slow machine is says nothing; that an interval is never cut short by more than it was late does.
    assert sum(durations) >= 4 * 0.25


def test_funclatency_of_a_system_call() -> None:
    done = run("funclatency", "vfs_read", "-d", "0.1", "--json", "--mechanism", "syscall")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mechanism"] == "syscall"
    assert json.loads(done.stdout)["tool"] == "funclatency"


def test_a_function_that_is_not_there() -> None:
    done = run("funclatency", "vfs_raed", "-d", "0.1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "rtrace: error: time `vfs_raed`: the kernel has no such function\nhint: did you mean "
    )


def test_a_process_that_is_not_there() -> None:
    done = run("vfsreadlat", "-p", "4194304")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rtrace: error: measure pid 4194304: no such process\n")


def test_nobody_reads_any_more(start: Callable[..., subprocess.Popen[str]]) -> None:
    tracing = start("vfsreadlat", "600")
    assert tracing.stdout is not None
    assert tracing.stderr is not None
    tracing.stdout.close()
    assert tracing.wait(30) == 141
    assert tracing.stderr.read() == ""


def test_without_privilege_the_way_out_is_told() -> None:
    # Still root by name, so that files can be read; but tracing goes by capabilities.
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *RTRACE, "vfsreadlat", "-d", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("rtrace: error: ")
    assert hint == "hint: run as root, or give the interpreter CAP_PERFMON and CAP_BPF"


def test_the_doctor_agrees_with_what_happens() -> None:
    done = run("doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["ok"]
    measured = json.loads(run("vfsreadlat", "-d", "0.1", "--json").stdout)
    assert measured["mechanism"] == found["mechanism"]
    states = {finding["name"]: finding["state"] for finding in found["findings"]}
    assert states[found["mechanism"]] == "ok"
