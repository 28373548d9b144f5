"""From a full ring buffer of 64 MiB to one array: what a record costs whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import headers, peers
from bench.measure import PROGRAMS, BenchError, Table, in_namespace, in_turn_rounds, rounds_of, tracefs
from bench.startup import NATIVE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

# As many as fit: 64 MiB / (32 bytes + 8 of header), and one byte must stay free.
RECORDS = 1_677_721
TURNS = 8
# One more than count.
ROUNDS = 4
PER_RECORD = {"wall_ns": "wall_ns_per_record", "cpu_ns": "cpu_ns_per_record"}


def native() -> Table:
    """Fill and read, each peer in turn."""
    bcc = {"BCC_KERNEL_SOURCE": str(headers.fetch(NATIVE_HEADERS))}
    drain, events = str(PROGRAMS / "drain"), str(PROGRAMS / "events.o")
    rounds = str(ROUNDS)
    with tracefs() as namespace:

        def peer(name: str, command: list[str]) -> Callable[[], list[dict[str, float]]]:
            return lambda: [per_record(name, one) for one in rounds_of(name, in_namespace(namespace, command), bcc)]

        commands = {
            "C libbpf callback": [drain, events, "callback", rounds],
            "C loop": [drain, events, "loop", rounds],
            "C loop, huge pages": [drain, events, "huge", rounds],
            "C loop, touched array": [drain, events, "warm", rounds],
            "rtrace": [peers.PYTHON, str(peers.FOLDER / "rtrace_drain.py"), events, rounds],
            "bcc, decoded": [peers.SYSTEM_PYTHON, str(peers.FOLDER / "bcc_events.py"), "fill", "2"],
        }
        runs = {name: peer(name, command) for name, command in commands.items()}
        return in_turn_rounds(runs, TURNS, keep=lambda name: not name.startswith("bcc"))


def per_record(name: str, facts: dict[str, float]) -> dict[str, float]:
    """Turn a round's times into those of a record, if all records came."""
    if facts["records"] != RECORDS:
        message = f"{name}: {facts['records']} records instead of {RECORDS}"
        raise BenchError(message)
    return {metric: facts[time] / RECORDS for time, metric in PER_RECORD.items()}
