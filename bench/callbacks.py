"""What an event of a perf buffer costs Python: in a callback that does nothing or reads fields, or in an array."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import Table, in_namespace, in_turn_rounds, rounds_of, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 4
# One more than count.
ROUNDS = 4
# In the words of peers/perf_callbacks.py, and in those of the table.
KINDS = {"empty": "empty callback", "fields": "three fields"}
PYTHONS = {peers.SYSTEM_PYTHON: "bcc's Python", peers.PYTHON: "rtrace's Python"}
SCRIPT = str(peers.FOLDER / "perf_callbacks.py")


def native() -> Table:
    """Fill a perf buffer and empty it, each peer in turn: both tools under bcc's interpreter and under rtrace's."""
    bcc = {"BCC_KERNEL_SOURCE": str(headers.fetch(NATIVE_HEADERS)), "PYTHONPATH": peers.BCC_PACKAGES}
    rtrace = {"PYTHONPATH": peers.PACKAGES}
    with tracefs() as namespace:

        def peer(tool: str, python: str, kind: str, needed: dict[str, str]) -> Callable[[], list[dict[str, float]]]:
            command = in_namespace(namespace, [python, SCRIPT, tool, kind, str(ROUNDS)])
            return lambda: [per_event(one) for one in rounds_of(f"{tool}, {kind}", command, needed)]

        runs = {}
        for (kind, words), (python, whose) in itertools.product(KINDS.items(), PYTHONS.items()):
            runs[f"bcc, {words}, {whose}"] = peer("bcc", python, kind, bcc)
            runs[f"rtrace, {words}, {whose}"] = peer("rtrace", python, kind, rtrace)
        for python, whose in PYTHONS.items():
            runs[f"the interpreter's map(), empty callback, {whose}"] = peer("rtrace", python, "calls", rtrace)
        # Debian's numpy is a package that bcc does not need.
        runs["rtrace, read(), rtrace's Python"] = peer("rtrace", peers.PYTHON, "read", rtrace)
        return in_turn_rounds(runs, TURNS)


def per_event(facts: dict[str, float]) -> dict[str, float]:
    """Turn a round's time into that of an event."""
    return {"cpu_ns_per_event": facts["cpu_ns"] / facts["events"]}
