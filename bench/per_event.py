"""The cost of an event in the kernel: the programs' own run time, and what a system call takes when it is traced."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from bench import bpf, headers, peers
from bench.measure import PROGRAMS, BenchError, Running, Table, check_attached, in_turn, launch, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Peer

NATIVE_ROUNDS = 9
NATIVE_CALLS = 300_000
GUEST_ROUNDS = 7
GUEST_CALLS = 20_000


def native() -> Table:
    """Measure tracepoints and raw tracepoints on this machine."""
    tree = headers.fetch(NATIVE_HEADERS)
    contestants = [
        peers.untraced(),
        *(peers.c(probe, start) for probe in ("tracepoint", "raw", "btf") for start in ("none", "hash", "storage")),
        peers.bcc("tracepoint", tree),
        peers.bpftrace("tracepoint"),
        peers.rtrace("syscall"),
    ]
    return run(contestants, NATIVE_ROUNDS, NATIVE_CALLS)


def guest(tree: Path) -> Table:
    """Measure kprobe and fentry; called inside the guest."""
    contestants = [
        peers.untraced(),
        *(peers.c(probe, start) for probe in ("kprobe", "fentry") for start in ("none", "hash", "storage")),
        peers.bcc("kprobe", tree),
        peers.bpftrace("kprobe"),
        peers.bpftrace("fentry"),
        peers.rtrace("kprobe"),
        peers.rtrace("fentry"),
        peers.rtrace("syscall"),
    ]
    return run(contestants, GUEST_ROUNDS, GUEST_CALLS)


def run(contestants: list[Peer], rounds: int, calls: int) -> Table:
    """Attach each in turn and run the workload under it, first as it is and then with the kernel's statistics on."""
    with tracefs() as namespace:

        def measure(peer: Peer) -> dict[str, float]:
            with launch(peer, namespace if peer.needs_tracefs else "-") as running:
                work(calls)  # what the start and the peer before left to do in the background is done meanwhile
                if not peer.programs:
                    return work(calls)
                check_attached(peer, running)
                return work(calls) | run_times(running, calls)

        return in_turn(contestants, rounds, measure, warm_up=True)


def work(calls: int) -> dict[str, float]:
    """Make that many reads, and as many calls that nobody asked to trace, on the last CPU."""
    last = max(os.sched_getaffinity(0))
    command = [str(PROGRAMS / "workload"), str(last), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


def run_times(running: Running, calls: int) -> dict[str, float]:
    """Return the programs' mean run times meanwhile, and their sum for a pair of entry and return.

    Raw tracepoints run at every system call of the machine: the half of the workload that reads nothing is left out
    by making only reads here, and what others do meanwhile is part of the mean.
    """
    ids = sorted(bpf.programs_of(running.pid))
    before = [bpf.runs_of(program) for program in ids]
    with bpf.statistics():
        only_reads(calls)
    after = [bpf.runs_of(program) for program in ids]
    means: dict[str, float] = {}
    pair = 0.0
    for old, new in zip(before, after, strict=True):
        # Kernels cut names, and then two can be the same.
        name = new.name if f"{new.name}_ns" not in means else f"{new.name}#2"
        runs = new.run_count - old.run_count
        # Others than the pair, as bpftrace's BEGIN, do not run meanwhile.
        if runs >= calls:
            mean = (new.run_time_ns - old.run_time_ns) / runs
            means[f"{name}_ns"] = mean
            means[f"{name}_jited_bytes"] = new.jited_bytes
            pair += mean
    if not means:
        message = f"none of the programs {[program.name for program in after]} has run"
        raise BenchError(message)
    return {**means, "pair_ns": pair}


def only_reads(calls: int) -> None:
    """Make reads only."""
    last = max(os.sched_getaffinity(0))
    subprocess.run(
        [str(PROGRAMS / "workload"), str(last), str(calls), "read"], capture_output=True, text=True, check=True
    )
