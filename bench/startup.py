"""Start-up: from the start of the process to attached, and peak memory; here and in a guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import Table, check_attached, in_turn, launch, tracefs

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Peer

NATIVE_ROUNDS = 15
GUEST_ROUNDS = 5
# No headers of this machine's own kernel are needed for tracepoints; any will do.
NATIVE_HEADERS = "6.1"


def native() -> Table:
    """Time the start by tracepoints on this machine."""
    tree = headers.fetch(NATIVE_HEADERS)
    contestants = [
        peers.bare_python(),
        peers.bare_python("python -c pass (bcc's)", peers.SYSTEM_PYTHON),
        peers.rtrace("syscall"),
        peers.rtrace("auto"),
        peers.rtrace_elsewhere("auto"),
        peers.rtrace_cli(),
        peers.bcc("tracepoint", tree),
        peers.bpftrace("tracepoint"),
        peers.c("tracepoint", "hash"),
    ]
    return run(contestants, NATIVE_ROUNDS)


def guest(tree: Path) -> Table:
    """Time the start by kprobe and fentry; called inside the guest."""
    contestants = [
        peers.bare_python(),
        peers.bare_python("python -c pass (bcc's)", peers.SYSTEM_PYTHON),
        peers.rtrace("kprobe"),
        peers.rtrace("auto"),
        peers.rtrace_elsewhere("auto"),
        peers.rtrace_cli(),
        peers.bcc("kprobe", tree),
        peers.bpftrace("kprobe"),
        peers.bpftrace("fentry"),
        peers.c("kprobe", "hash"),
        peers.c("fentry", "hash"),
    ]
    return run(contestants, GUEST_ROUNDS)


def run(contestants: list[Peer], rounds: int) -> Table:
    """Start each in turn; the first round only fills the caches."""
    with tracefs() as namespace:

        def measure(peer: Peer) -> dict[str, float]:
            with launch(peer, namespace if peer.needs_tracefs else "-") as running:
                if peer.programs:
                    check_attached(peer, running)
            whole = {f"{metric}_whole_run": number for metric, number in running.end.items()}
            return {"attached_ms": running.ready_ms, "peak_mb": running.peak_mb, **whole}

        return in_turn(contestants, rounds, measure, warm_up=True)
