"""Hash maps of up to a million entries: read, read and remove, removed, and made a dict."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import PROGRAMS, Table, in_namespace, in_turn_rounds, rounds_of, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

# Entries -> times that make one sample: long enough for a CPU clock that may tick in milliseconds.
SIZES = {10_000: 50, 100_000: 5, 1_000_000: 1}
# One more than count.
ROUNDS = 3
TURNS = 3
MAPS = {"small": "u32 -> u64", "large": "16 -> 24 bytes"}


def native() -> Table:
    """Read the same maps with every peer, in turn."""
    bcc = {"BCC_KERNEL_SOURCE": str(headers.fetch(NATIVE_HEADERS))}
    path = str(PROGRAMS / "maps.o")
    runs: dict[str, Callable[[], list[dict[str, float]]]] = {}
    with tracefs() as namespace:

        def peer(name: str, command: list[str]) -> Callable[[], list[dict[str, float]]]:
            return lambda: [in_ms(one) for one in rounds_of(name, in_namespace(namespace, command), bcc)]

        for (table, words), (entries, times) in itertools.product(MAPS.items(), SIZES.items()):
            of = f"{words}, {entries:,}"
            what = [table, str(entries), str(ROUNDS), str(times)]
            runs[f"C {of}"] = peer("C", [str(PROGRAMS / "maps"), path, *what])
            runs[f"rtrace {of}"] = peer("rtrace", [peers.PYTHON, "-m", "bench.peers.rtrace_maps", path, *what])
            # Ten times slower, and its samples so much longer.
            bcc_what = [table, str(entries), "2", str(max(times // 10, 1))]
            runs[f"bcc {of}"] = peer("bcc", [peers.SYSTEM_PYTHON, str(peers.FOLDER / "bcc_maps.py"), *bcc_what])
        return in_turn_rounds(runs, TURNS, keep=lambda name: not name.startswith("bcc"))


def in_ms(facts: dict[str, float]) -> dict[str, float]:
    """Turn nanoseconds into milliseconds."""
    return {f"{name.removesuffix('_ns')}_ms": time / 1e6 for name, time in facts.items()}
