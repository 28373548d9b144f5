"""``BPF(...)``: what bcc's workflow costs before the first event, here and in a guest; the same script for both."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import Table, check_attached, in_turn, launch, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

NATIVE_ROUNDS = 9
GUEST_ROUNDS = 3
# In the words of peers/bpf_start.py, and in those of the table.
PROGRAMS = {
    "one_line": "one line",
    "sched": "linux/sched.h",
    "blk_mq": "linux/blk-mq.h",
    "sock": "net/sock.h",
    "vfsreadlat": "vfsreadlat.c",
}
# Under bcc's interpreter, but for those that say another.
WAYS = ("rtrace cold", "rtrace cold with Debian's clang", "rtrace cached", "bcc")
ELSEWHERE = ("rtrace cold (rtrace's Python)", "rtrace cached (rtrace's Python)")


def native() -> Table:
    """Start on this machine, where vfsreadlat.c is attached to tracepoints."""
    return run(headers.fetch(NATIVE_HEADERS), "tracepoint", (*WAYS, *ELSEWHERE), NATIVE_ROUNDS)


def guest(tree: Path) -> Table:
    """Start where there are kprobes; called inside the guest."""
    # Emulated, one start of bcc takes up to a minute.
    return run(tree, "kprobe", WAYS, GUEST_ROUNDS, keep=lambda name: not name.startswith("bcc"))


def run(
    tree: Path, mechanism: str, ways: tuple[str, ...], rounds: int, *, keep: Callable[[str], bool] | None = None
) -> Table:
    """Start each in turn; the first round fills the caches, rtrace's own for programs among them."""
    contestants = [
        peers.bpf_start(way, program, words, mechanism, tree) for program, words in PROGRAMS.items() for way in ways
    ]
    with tracefs() as namespace, tempfile.TemporaryDirectory() as folder:

        def measure(peer: peers.Peer) -> dict[str, float]:
            cold = Path(folder, "cold")
            shutil.rmtree(cold, ignore_errors=True)
            cache = cold if "cold" in peer.name else Path(folder, "kept")
            peer = dataclasses.replace(peer, environment=peer.environment | {"XDG_CACHE_HOME": str(cache)})
            with launch(peer, namespace if peer.needs_tracefs else "-") as running:
                check_attached(peer, running)
            return {
                "constructor_ms": running.said / 1e6,
                "attached_ms": running.ready_ms,
                "peak_mb": running.peak_mb,
                # The compiler's, where there is one: it is the largest of the process and its children.
                "peak_mb_with_children": running.end["peak_mb"],
            }

        return in_turn(contestants, rounds, measure, warm_up=True, keep=keep)
