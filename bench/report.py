"""Tables for people: on the terminal and in RESULTS.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.goals import goals_of, median, ratio
from bench.measure import Summary

if TYPE_CHECKING:
    from bench.result import Result

RESULTS = Path(__file__).with_name("RESULTS.md")
COLUMNS = {
    "startup": {
        "attached_ms": "start to attached, ms",
        "peak_mb": "peak memory then, MiB",
        "peak_mb_whole_run": "peak of the whole run, MiB",
        "cpu_ms_whole_run": "CPU time of the whole run, ms",
    },
    "bpf": {
        "constructor_ms": "`BPF()`, ms",
        "attached_ms": "start to attached, ms",
        "peak_mb": "peak memory of the process, MiB",
        "peak_mb_with_children": "of it or its compiler, MiB",
    },
    "per_event": {
        "pair_ns": "programs of a pair, ns",
        "read_ns": "read of 1 byte, ns",
        "getppid_ns": "getppid, ns",
    },
    "import_time": {"attached_ms": "start to done, ms", "peak_mb": "peak memory, MiB"},
    "ring": {"cpu_ns_per_record": "CPU time of a record, ns", "wall_ns_per_record": "by the clock, ns"},
    "flood": {
        "generated_per_s": "events made, per second",
        "delivered_per_s": "delivered, per second",
        "lost_percent": "lost, %",
        "not_told_percent": "lost and not told, %",
        "cpu_percent": "CPU of the reader, %",
    },
    "maps": {"snapshot_ms": "snapshot", "drain_ms": "drain", "clear_ms": "clear", "to_dict_ms": "to_dict"},
    "callbacks": {"cpu_ns_per_event": "CPU time of an event, ns"},
    "memory": {"rss_mb": "resident memory, MiB", "delivered": "delivered", "lost": "lost, and counted"},
}
NOTES = {
    "startup": "Median (minimum; quartiles). The last columns are ratios of medians: peer over the one named.",
    "bpf": """\
Median (minimum; quartiles). The same script with `from rtrace import BPF` and with `from bcc import BPF`, under the
Python that bcc is made for, and under that of rtrace's developers (built without optimization) where it says so.
*Cold*: with an empty cache, so a compiler runs, as a child process: that of the wheel of `rtrace[clang]`, or Debian's;
*cached*: compiled by an earlier process. bcc compiles every time, inside the process, and needs the kernel's headers
(here, where there are none, those of another kernel).""",
    "per_event": """\
Median (minimum; quartiles). *Programs of a pair*: the kernel's own run_time_ns / run_cnt (BPF statistics), entry plus
return, with only reads under way; it contains the cost of looking at the clock twice per program, which the row `none`
(programs that do nothing) shows. Raw tracepoint programs run at every system call of the machine, so their mean
contains what others did meanwhile. *read* and *getppid* are end to end and without statistics, in a loop pinned to one
CPU: getppid is the price for system calls that nobody asked to trace. *added* is the difference to untraced.""",
    "import_time": "Median (minimum; quartiles).",
    "ring": """\
Median (minimum; quartiles). A ring buffer of 64 MiB, full of 32-byte records, read into one new array: from before it
is mapped until the array is there; bcc: into a list of decoded tuples. *touched array*: one whose pages were there
before. rtrace's thread shares the work with the caller; CPU time is that of both.""",
    "flood": """\
Median (minimum; quartiles). getppid in a tight loop on one CPU for 10 s, every call an event; the reader on the other.
Delivered and lost make up what was made, exactly, or the bench fails (of bpftrace nobody promises it). Who costs the
traced loop less has more events to deliver.""",
    "maps": """\
CPU time in ms, median (minimum; quartiles), of full hash maps; of small ones each sample is the mean of many times. C:
loops over BPF_MAP_LOOKUP_BATCH and BPF_MAP_LOOKUP_AND_DELETE_BATCH into arrays of the right size. bcc: a dict of
items().""",
    "callbacks": """\
Median (minimum; quartiles). A perf buffer with 300,000 events of 32 bytes, from the poll until all callbacks have run,
the same script for both. *Three fields*: `event = b["events"].event(data)`, two numbers and a text of it read.
*read()*: rtrace's one array of all events. *map()*: the same callback with as many numbers, without any buffer: what
the calls alone cost. rtrace's developers' Python was built without optimization.""",
    "memory": """\
Median (minimum; quartiles) of a sample per second. 100,000 events per second with max_bytes of 32 MiB and
when_full="drop_oldest"; the reader reads for ten seconds, stalls for ten, and so on.""",
}
HEAD = """\
# Results

Written by `python -m bench`; do not edit. Every table is from one run, its peers measured in turn (A B C A B C ...).
The machine is shared and noisy: ratios are what counts. Guests run under software emulation: their absolute times mean
nothing at all.
"""


def write(results: list[Result]) -> None:
    """Write RESULTS.md from everything that is kept."""
    RESULTS.write_text(HEAD + "".join(f"\n{section(result)}" for result in results))


def section(result: Result) -> str:
    """Render a bench: facts, table, goals."""
    kind = kind_of(result)
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [
        f"## {result.bench}",
        "",
        f"`{result.command}`, {result.date}.",
        f"Linux {result.kernel}, {result.cpus} x {result.cpu}, load {result.load:.1f}; {versions}.",
        "",
        NOTES[kind],
        "",
        *table(result, kind),
    ]
    if RESULTS.with_name(f"{result.bench}.png").exists():
        lines += ["", f"![{result.bench}]({result.bench}.png)"]
    if kind == "per_event":
        lines += ["", *programs(result)]
    goals = goals_of(result)
    if goals:
        lines += ["", "| goal | measured | at most | |", "|---|---|---|---|", *(goal.line() for goal in goals)]
    return "\n".join(lines) + "\n"


def kind_of(result: Result) -> str:
    """Return which of the kinds of benches it is."""
    return next(kind for kind in COLUMNS if result.bench.startswith(kind))


def table(result: Result, kind: str) -> list[str]:
    """Render the samples, a row per peer."""
    columns = COLUMNS[kind]
    rows = [["peer", *columns.values()]]
    references = [name for name in result.table if name.startswith(("bcc", "bpftrace")) and kind == "startup"]
    rows[0] += [f"time / {name}" for name in references]
    rows[0] += ["rate / C loop", "rate / C libbpf callback"] if kind == "ring" else []
    rows[0] += ["added to read, ns", "added to getppid, ns"] if kind == "per_event" else []
    for name, samples in result.table.items():
        row = [name, *(cell(samples.get(metric)) for metric in columns)]
        row += [f"{ratio(result.table, name, reference, 'attached_ms'):.2f}" for reference in references]
        if kind == "ring":
            rivals = ("C loop", "C libbpf callback")
            row += [f"{ratio(result.table, rival, name, 'cpu_ns_per_record'):.2f}" for rival in rivals]
        if kind == "per_event":
            for metric in ("read_ns", "getppid_ns"):
                added = median(result.table, name, metric) - median(result.table, "untraced", metric)
                row.append(f"{added:+.0f}")
        rows.append(row)
    rows.insert(1, ["---"] * len(rows[0]))
    return [f"| {' | '.join(row)} |" for row in rows]


def programs(result: Result) -> list[str]:
    """Render the programs one by one."""
    lines = ["| peer | program | mean run, ns | machine code, bytes |", "|---|---|---|---|"]
    for name, samples in result.table.items():
        for metric in samples:
            program = metric.removesuffix("_jited_bytes")
            if program != metric:
                size = Summary.of(samples[metric]).median
                lines.append(f"| {name} | {program} | {cell(samples[f'{program}_ns'])} | {size:.0f} |")
    return lines


def cell(numbers: list[float] | None) -> str:
    """Render some runs."""
    if not numbers:
        return "-"
    summary = Summary.of(numbers)
    if len(numbers) == 1 or summary.low == summary.median == max(numbers):
        return f"{summary.median:,.1f}"
    return f"{summary.median:,.1f} ({summary.low:,.1f}; {summary.q1:,.1f}-{summary.q3:,.1f})"
