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
    if result.bench.startswith("bpf"):
        return list(bpf_start(result.table))
    if result.bench.startswith("per_event"):
        return list(per_event(result.table))
    named = {
        "import_time": import_time,
        "ring_native": ring,
        "flood_native": flood,
        "maps_native": maps,
        "callbacks_native": callbacks,
    }
    if result.bench in named:
        return list(named[result.bench](result.table))
    if result.bench == "memory_native":
        return list(memory(result.table))
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


def bpf_start(table: Table) -> Iterator[Goal]:
    """Compare making the same BPF object with bcc: compiled for the first time, and from the cache."""
    for name in table:
        way, _, words = name.partition(", ")
        if way == "bcc":
            continue
        bcc = f"bcc, {words}"
        constructor, start = (1 / 50, 1 / 6) if "cached" in way else (1 / 5, 1 / 2)
        yield Goal(f"`BPF()` of {name} over {bcc}", ratio(table, name, bcc, "constructor_ms"), constructor)
        yield Goal(f"start of {name} over {bcc}", ratio(table, name, bcc, "attached_ms"), start)
        yield Goal(f"memory of {name} over {bcc}", ratio(table, name, bcc, "peak_mb"), 1 / 4)
        whole = ratio(table, name, bcc, "peak_mb_with_children")
        yield Goal(f"memory of {name} with its compiler over {bcc}", whole, 1)


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


def ring(table: Table) -> Iterator[Goal]:
    """Compare rates of reading with C: at least 0.8 of it."""
    for rival in ("C libbpf callback", "C loop", "C loop, huge pages"):
        if rival in table:
            measured = ratio(table, "rtrace", rival, "cpu_ns_per_record")
            yield Goal(f"CPU time per record of rtrace over {rival}", measured, 1 / 0.8)


def flood(table: Table) -> Iterator[Goal]:
    """Nothing may be lost without being counted."""
    yield Goal("records that rtrace neither delivered nor counted", max(table["rtrace"]["not_told_percent"]), 0, " %")


def maps(table: Table) -> Iterator[Goal]:
    """Compare with a loop over batches in C, and with bcc's items()."""
    for name in table:
        peer, _, of = name.partition(" ")
        if peer != "rtrace":
            continue
        for metric in ("snapshot_ms", "drain_ms", "clear_ms"):
            yield Goal(f"{metric.removesuffix('_ms')} of {of} over C", ratio(table, name, f"C {of}", metric), 1.2)
        yield Goal(f"to_dict of {of} over bcc's items()", ratio(table, name, f"bcc {of}", "to_dict_ms"), 1 / 8)


def callbacks(table: Table) -> Iterator[Goal]:
    """Compare with bcc's callbacks that do the same; an array of all events has their fields too."""
    for name in table:
        tool, words, whose = name.split(", ")
        if tool == "rtrace":
            rival = f"bcc, {'three fields' if words == 'read()' else words}, {whose}"
            measured = ratio(table, name, rival, "cpu_ns_per_event")
            yield Goal(f"CPU time per event of {name} over {rival}", measured, 1 / 3)


def memory(table: Table) -> Iterator[Goal]:
    """Once everything has happened that can happen, memory does not grow."""
    memory = table["rtrace"]["rss_mb"]
    half = len(memory) // 2
    growth = max(memory[half:]) - max(memory[:half])
    yield Goal("most resident memory, second half beyond the first", growth, 1, " MiB")


def median(table: Table, name: str, metric: str) -> float:
    """Return a peer's median."""
    return Summary.of(table[name][metric]).median


def ratio(table: Table, name: str, rival: str, metric: str) -> float:
    """Return the ratio of two medians."""
    return median(table, name, metric) / median(table, rival, metric)
