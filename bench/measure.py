"""Run peers in turn, and sum up what was measured."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bpf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.peers import Peer

CHECKOUT = Path(__file__).resolve().parents[1]
BUILD = CHECKOUT / "build" / "bench"
PROGRAMS = BUILD / "c"
# Metric -> one number per run.
Samples = dict[str, list[float]]
# Tables of one bench: peer -> samples.
Table = dict[str, Samples]


class BenchError(Exception):
    """A bench cannot go on."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Some runs in four numbers."""

    median: float
    low: float
    q1: float
    q3: float

    @classmethod
    def of(cls, numbers: list[float]) -> Summary:
        """Sum up; quartiles as `statistics.quantiles` takes them.

        Examples
        --------
        >>> Summary.of([4.0, 1.0, 2.0, 3.0, 5.0])
        Summary(median=3.0, low=1.0, q1=2.0, q3=4.0)
        """
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0], numbers[0])
        q1, median, q3 = statistics.quantiles(numbers, n=4, method="inclusive")
        return cls(median, min(numbers), q1, q3)


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that has said that it is attached."""

    pid: int
    ready_ms: float
    peak_mb: float
    said: int
    """The number that it said with the marker, 0 without one."""
    end: dict[str, float]
    """Filled when it has ended: peak memory and CPU time over its whole life."""


def build_programs() -> None:
    """Compile what is in C."""
    folder = Path(__file__).parent / "peers" / "c"
    done = subprocess.run(
        ["make", "-s", "-C", str(folder), f"BUILD={PROGRAMS}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = f"make -C {folder}: {done.stderr.strip()}\nhint: apt-get install $(cat bench/apt-packages.txt)"
        raise BenchError(message)


@contextlib.contextmanager
def launch(peer: Peer, namespace: str) -> Iterator[Running]:
    """Start a peer, yield when it is attached, and interrupt it in the end."""
    # Byte code is kept as an installed package has it; without, every run would compile rtrace anew.
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "BPFTRACE_BTF"}
    environment = {name: value for name, value in os.environ.items() if name not in dropped} | peer.environment
    command = [str(PROGRAMS / "launch"), peer.marker, namespace, *peer.command]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None  # noqa: S101  # for the type checker
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        line = process.stdout.readline()
        if not line:
            message = f"{peer.name}: {process.stderr.read().strip()}"
            raise BenchError(message)
        said = json.loads(line)
        running = Running(said["pid"], said["ready_ns"] / 1e6, said["peak_kb"] / 1024, said["said"], {})
        try:
            yield running
        finally:
            process.stdin.close()
            line = process.stdout.readline()
        if line:
            ended = json.loads(line)
            running.end.update(peak_mb=ended["peak_kb"] / 1024, cpu_ms=ended["cpu_us"] / 1000)


def in_namespace(namespace: str, command: list[str]) -> list[str]:
    """Return the command that runs another in the mount namespace that `tracefs` gave."""
    return command if namespace == "-" else ["nsenter", f"--mount={namespace}", f"--wd={CHECKOUT}", *command]


def rounds_of(name: str, command: list[str], environment: Mapping[str, str] | None = None) -> list[dict[str, float]]:
    """Run a peer to its end; return what it printed, a line of JSON for each of its rounds but the first.

    The first one touches memory that the machine may have to get from elsewhere (a virtual machine's host takes back
    what is free), as much of it as comes by chance.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    if done.returncode != 0:
        message = f"{name}: {done.stderr.strip()[-500:]}"
        raise BenchError(message)
    return [json.loads(line) for line in done.stdout.splitlines()[1:]]


def in_turn_rounds(
    runs: Mapping[str, Callable[[], list[dict[str, float]]]], turns: int, *, keep: Callable[[str], bool] | None = None
) -> Table:
    """Run every peer once per turn, A B C A B C; each gives the samples of several rounds.

    `keep` says which are run in every turn; the others, because they take long, in the first one only.
    """
    table: Table = {name: {} for name in runs}
    for turn in range(turns):
        for name, run in runs.items():
            if turn and keep is not None and not keep(name):
                continue
            for numbers in run():
                for metric, number in numbers.items():
                    table[name].setdefault(metric, []).append(number)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return table


def check_attached(peer: Peer, running: Running) -> None:
    """Make sure that a peer that says so has its programs in the kernel."""
    found = bpf.programs_of(running.pid)
    if len(found) < peer.programs:
        message = f"{peer.name}: says it is attached, but holds {len(found)} programs instead of {peer.programs}"
        raise BenchError(message)


def in_turn(
    peers: list[Peer],
    rounds: int,
    measure: Callable[[Peer], Mapping[str, float]],
    *,
    warm_up: bool,
    keep: Callable[[str], bool] | None = None,
) -> Table:
    """Measure every peer once per round, A B C A B C, so that what disturbs the machine disturbs all.

    `keep` says which are run in every round; the others, because they take long, in the first that counts only. A
    peer that fails is told on stderr and left out from then on: no number is better than a wrong one.
    """
    table: Table = {peer.name: {} for peer in peers}
    alive = list(peers)
    for turn in range(-1 if warm_up else 0, rounds):
        for peer in list(alive):
            if turn > 0 and keep is not None and not keep(peer.name):
                continue
            try:
                numbers = measure(peer)
            except BenchError as error:
                print(f"\nleft out: {error}", file=sys.stderr, flush=True)
                alive.remove(peer)
                continue
            if turn >= 0:
                for metric, number in numbers.items():
                    table[peer.name].setdefault(metric, []).append(number)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: samples for name, samples in table.items() if samples}


@contextlib.contextmanager
def tracefs() -> Iterator[str]:
    """Yield the mount namespace for peers that insist on a mounted tracefs; ``-`` where it is mounted anyway.

    The mount is in a namespace of a child process; the machine's own tree is left as it is.
    """
    if Path("/sys/kernel/tracing/events").exists():
        yield "-"
        return
    script = "mount -t tracefs tracefs /sys/kernel/tracing && echo mounted && exec cat"
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None  # noqa: S101  # for the type checker
        assert holder.stdout is not None  # noqa: S101
        if holder.stdout.readline().strip() != "mounted":
            message = "cannot mount tracefs in a mount namespace of our own (root?)"
            raise BenchError(message)
        try:
            yield f"/proc/{holder.pid}/ns/mnt"
        finally:
            holder.stdin.close()
