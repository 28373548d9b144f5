"""A flood of events for seconds: how many arrive, how many are lost, and whether anybody knows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import PROGRAMS, BenchError, Table, in_namespace, in_turn_rounds, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10
TURNS = 3


@contextlib.contextmanager
def flood(seconds: float, rate: float = 0) -> Iterator[tuple[int, Callable[[], dict[str, float]]]]:
    """Yield a process that makes calls on the last CPU, and what starts it and returns what it did."""
    command = [str(PROGRAMS / "flood"), str(max(os.sched_getaffinity(0))), str(seconds), str(rate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None  # noqa: S101  # for the type checker
        assert process.stdout is not None  # noqa: S101
        pid = json.loads(process.stdout.readline())["pid"]

        def go() -> dict[str, float]:
            assert process.stdin is not None  # noqa: S101
            assert process.stdout is not None  # noqa: S101
            process.stdin.write("\n")
            process.stdin.flush()
            done: dict[str, float] = json.loads(process.stdout.readline())
            return done

        yield pid, go


def native() -> Table:
    """Flood each peer in turn."""
    bcc = {"BCC_KERNEL_SOURCE": str(headers.fetch(NATIVE_HEADERS))}
    c = [str(PROGRAMS / "receive"), str(PROGRAMS / "events.o")]
    with tracefs() as namespace, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # not a disk
        output = Path(folder, "events.json")
        bpftrace = ["bpftrace", "-f", "json", "-o", str(output), str(peers.FOLDER / "events.bt")]

        def peer(name: str, command: list[str]) -> Callable[[], list[dict[str, float]]]:
            result = output if command[0] == "bpftrace" else None
            return lambda: [receive(name, in_namespace(namespace, command), bcc, result)]

        commands = {
            "C libbpf callback": c,
            "rtrace": [peers.PYTHON, str(peers.FOLDER / "rtrace_events.py")],
            "bcc": [peers.SYSTEM_PYTHON, str(peers.FOLDER / "bcc_events.py"), "hit"],
            "bpftrace -f json": bpftrace,
        }
        return in_turn_rounds({name: peer(name, command) for name, command in commands.items()}, TURNS)


def receive(name: str, command: list[str], environment: dict[str, str], output: Path | None) -> dict[str, float]:
    """Have a peer receive one flood on the first CPU; what it delivers and loses must be all that there was."""
    first = str(min(os.sched_getaffinity(0)))
    with flood(SECONDS) as (pid, go):
        process = subprocess.Popen(
            ["taskset", "-c", first, *command, str(pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        with process:
            assert process.stdout is not None  # noqa: S101  # for the type checker
            assert process.stderr is not None  # noqa: S101
            wait_attached(name, process, output)
            made = go()
            process.send_signal(signal.SIGINT)
            said, complaints = process.communicate(timeout=120)
    if process.returncode not in {0, -signal.SIGINT}:
        message = f"{name}: {complaints[-500:]}"
        raise BenchError(message)
    got = json.loads(said.splitlines()[-1]) if output is None else count_lines(output)
    unknown = made["calls"] - got["delivered"] - got["lost"]
    # Of bpftrace nobody promises it.
    if unknown and output is None:
        message = f"{name}: {got['delivered']} delivered and {got['lost']} lost of {made['calls']}"
        raise BenchError(message)
    return {
        "generated_per_s": made["calls"] / made["seconds"],
        "delivered_per_s": got["delivered"] / made["seconds"],
        "lost_percent": 100 * (got["lost"] + unknown) / made["calls"],
        "not_told_percent": 100 * unknown / made["calls"],
        **({"cpu_percent": got["cpu_ms"] / made["seconds"] / 10} if "cpu_ms" in got else {}),
    }


def wait_attached(name: str, process: subprocess.Popen[str], output: Path | None) -> None:
    """Wait until a peer says that it is attached, in its output or in a file."""
    assert process.stdout is not None  # noqa: S101  # for the type checker
    if output is None:
        said = process.stdout.readline()
    else:
        said = ""
        while process.poll() is None and "attached" not in said:
            said = output.read_text() if output.exists() else ""
    if "attached" not in said:
        message = f"{name}: did not attach"
        raise BenchError(message)


def count_lines(output: Path) -> dict[str, float]:
    """Count bpftrace's lines, those of the loss of events apart."""
    delivered = lost = 0
    with output.open() as lines:
        for line in lines:
            if '"lost_events"' in line:
                lost += json.loads(line)["data"]["events"]
            else:
                delivered += '"printf"' in line and "attached" not in line
    output.unlink()
    return {"delivered": delivered, "lost": lost}
