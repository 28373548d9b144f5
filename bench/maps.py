"""Hash maps of up to a million entries: read, read and remove, removed, and made a dict."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import PROGRAMS, Table, in_namespace, in_turn_rounds, rounds_of, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (10_000, 100_000, 1_000_000)
# Small ones are over so quickly that more rounds cost nothing.
# One more than count.
ROUNDS = {10_000: 11, 100_000: 6, 1_000_000: 4}
TURNS = 2
MAPS = {"small": "u32 -> u64", "large": "16 -> 24 bytes"}


def native() -> Table:
    """Read the same maps with every peer, in turn."""
    bcc = {"BCC_KERNEL_SOURCE": str(headers.fetch(NATIVE_HEADERS))}
    path = str(PROGRAMS / "maps.o")
    runs: dict[str, Callable[[], list[dict[str, float]]]] = {}
    with tracefs() as namespace:

        def peer(name: str, command: list[str]) -> Callable[[], list[dict[str, float]]]:
            return lambda: [in_ms(one) for one in rounds_of(name, in_namespace(namespace, command), bcc)]

        for (table, words), entries in itertools.product(MAPS.items(), SIZES):
            of = f"{words}, {entries:,}"
            what = [table, str(entries), str(ROUNDS[entries])]
            runs[f"C {of}"] = peer("C", [str(PROGRAMS / "maps"), path, *what])
            runs[f"rtrace {of}"] = peer("rtrace", [peers.PYTHON, "-m", "bench.peers.rtrace_maps", path, *what])
            bcc_what = [table, str(entries), "2"]
            runs[f"bcc {of}"] = peer("bcc", [peers.SYSTEM_PYTHON, str(peers.FOLDER / "bcc_maps.py"), *bcc_what])
        return in_turn_rounds(runs, TURNS, keep=lambda name: not name.startswith("bcc"))


def in_ms(facts: dict[str, float]) -> dict[str, float]:
    """Turn nanoseconds into milliseconds."""
    return {f"{name.removesuffix('_ns')}_ms": time / 1e6 for name, time in facts.items()}
