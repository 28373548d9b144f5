"""What was promised, held against what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.measure import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Table
    from bench.result import Result

LONGEST_IMPORT_MS = 30.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise, on medians."""

    text: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured <= self.limit

    def line(self) -> str:
        """Say it in one line of Markdown."""
        verdict = "met" if self.met else "**not met**"
        return f"| {self.text} | {self.measured:.3g}{self.unit} | {self.limit:.3g}{self.unit} | {verdict} |"


def goals_of(result: Result) -> list[Goal]:
    """Return the goals that a bench decides."""
    if result.bench.startswith("startup"):
        return list(startup(result.table))
    if result.bench.startswith("per_event"):
        return list(per_event(result.table))
    if result.bench == "import_time":
        return list(import_time(result.table))
    return []


def startup(table: Table) -> Iterator[Goal]:
    """Compare times to attached, and peak memory then and in the end."""
    rivals = [name for name in table if name.startswith(("bcc", "bpftrace"))]
    for name in table:
        if not name.startswith("rtrace") or "(" in name:
            continue
        for rival in rivals:
            share = 1 / 8 if rival.startswith("bcc") else 1
            yield Goal(f"start of {name} over {rival}", ratio(table, name, rival, "attached_ms"), share)
            yield Goal(f"memory of {name} over {rival}", ratio(table, name, rival, "peak_mb"), 1 / 4)
            whole = ratio(table, name, rival, "peak_mb_whole_run")
            yield Goal(f"memory of {name} to the end, histogram shown, over {rival}", whole, 1 / 4)


def per_event(table: Table) -> Iterator[Goal]:
    """Compare with C and its hash map, by the same mechanism."""
    for mechanism, probe in (("syscall", "tracepoint"), ("kprobe", "kprobe"), ("fentry", "fentry")):
        name, rival = f"rtrace {mechanism}", f"C {probe} hash"
        if name in table and rival in table and "pair_ns" in table[rival]:
            yield Goal(f"programs of {name} over {rival}", ratio(table, name, rival, "pair_ns"), 1)
            bare = median(table, "untraced", "read_ns")
            added = (median(table, name, "read_ns") - bare) / (median(table, rival, "read_ns") - bare)
            yield Goal(f"what {name} adds to a read, over {rival}", added, 1)


def import_time(table: Table) -> Iterator[Goal]:
    """Compare with the bare interpreter."""
    added = median(table, "import rtrace", "attached_ms") - median(table, "bare interpreter", "attached_ms")
    yield Goal("`import rtrace`, beyond the bare interpreter", added, LONGEST_IMPORT_MS, " ms")


def median(table: Table, name: str, metric: str) -> float:
    """Return a peer's median."""
    return Summary.of(table[name][metric]).median


def ratio(table: Table, name: str, rival: str, metric: str) -> float:
    """Return the ratio of two medians."""
    return median(table, name, metric) / median(table, rival, metric)
