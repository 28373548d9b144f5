"""Events as lines of text while they come: a table for people, JSON, or comma-separated values."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rtrace import trace_values
from rtrace.display.wording import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtrace.trace import Trace
    from rtrace.trace_fields import FieldFacts

# The columns that every record has, which the table puts first.
HEADER = ("ts_ns", "comm", "pid", "tid", "cpu")
HEADING = "{:>15}  {:<16} {:>7} {:>7} {:>3}  {}\n"
# The column that a pair of tracepoints has in addition; its table shows it in us before the other fields.
LATENCY = "latency_ns"
LATENCY_WIDTH = 12
# Values are padded so that they stand below each other, as long as this does not make lines much longer.
WIDEST_PADDED = 32
SECOND_NS = 1_000_000_000


def boot_time(ns: int) -> str:
    """Write a time in seconds since the machine was started, as bcc does.

    From integers: as a float it would not be exact any more after some months without a restart.
    """
    return f"{ns // SECOND_NS}.{ns % SECOND_NS:09}"


class Lines(Protocol):
    """How events are written."""

    def heading(self) -> str:
        """Return what stands above all events."""

    def lines(self, trace: Trace) -> str:
        """Return the lines of some events, each with its newline."""


def choose(arguments: argparse.Namespace, empty: Trace, make_table: Callable[[Trace], Lines] | None = None) -> Lines:
    """Return the way of writing that the command line asks for; `empty` is a trace of what will come."""
    if arguments.json:
        return JsonLines()
    if arguments.csv:
        return CsvLines(empty)
    return Table(empty, wall=arguments.wall) if make_table is None else make_table(empty)


class JsonLines:
    """One JSON object for each event: numbers as they are, text decoded."""

    def heading(self) -> str:
        """Return nothing."""
        return ""

    def lines(self, trace: Trace) -> str:
        """Return one object per line."""
        encode = json.JSONEncoder().encode
        return "".join([f"{encode(event)}\n" for event in trace.to_dicts()])


class CsvLines:
    """A line of names, then one for each event: numbers as they are, text decoded and quoted."""

    def __init__(self, empty: Trace) -> None:
        self._heading = written(empty)

    def heading(self) -> str:
        """Return the line of names."""
        return self._heading

    def lines(self, trace: Trace) -> str:
        """Return all but the line of names."""
        return written(trace)[len(self._heading) :]


def written(trace: Trace) -> str:
    """Return a trace as comma-separated values, below the line of names."""
    file = io.StringIO()
    trace.to_csv(file)
    return file.getvalue()


class Table:
    """A line for each event: when, who and where in columns, then the tracepoint's fields as name=value."""

    def __init__(self, empty: Trace, *, wall: bool) -> None:
        self._target = empty.target
        self._wall = wall
        self._latency = LATENCY in empty.fields and empty.fields[LATENCY].unit == "ns"
        self._first: int | None = None
        self._widths: dict[str, int] = {}

    def heading(self) -> str:
        """Return the names of the columns."""
        rest = "LAT(us)".rjust(LATENCY_WIDTH) + "  " if self._latency else ""
        rest += printable(self._target)
        return HEADING.format("TIME" if self._wall else "TIME(s)", "COMM", "PID", "TID", "CPU", rest)

    def lines(self, trace: Trace) -> str:
        """Return one line per event."""
        who = zip(
            self._times(trace),
            [printable(comm) for comm in trace_values.texts(trace["comm"]).tolist()],
            *(trace[name].tolist() for name in HEADER[2:]),
            self._fields(trace),
            strict=True,
        )
        return "".join(
            [f"{at:>15}  {comm:<16} {pid:>7} {tid:>7} {cpu:>3}  {rest}\n" for at, comm, pid, tid, cpu, rest in who]
        )

    def _times(self, trace: Trace) -> list[str]:
        if self._wall:
            return times_of_day(trace.times.view(np.int64))
        stamps = trace["ts_ns"].view(np.int64)
        if self._first is None and len(stamps):
            self._first = int(stamps[0])
        return [f"{ns / SECOND_NS:.6f}" for ns in (stamps - (self._first or 0)).tolist()]

    def _fields(self, trace: Trace) -> list[str]:
        columns = []
        if self._latency:
            columns.append([microseconds(ns).rjust(LATENCY_WIDTH) for ns in trace[LATENCY].tolist()])
        names = [name for name in trace.fields if name not in HEADER and not (self._latency and name == LATENCY)]
        columns += [self._padded(name, cells(trace, name)) for name in names]
        return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)] if columns else [""] * len(trace)

    def _padded(self, name: str, values: list[str]) -> list[str]:
        """Put the name before each value, and blanks behind it up to the longest value so far."""
        longest = max(map(len, values), default=0)
        width = self._widths[name] = min(max(longest, self._widths.get(name, 0)), WIDEST_PADDED)
        width += len(name) + 1
        return [f"{name}={value}".ljust(width) for value in values]


def microseconds(ns: int) -> str:
    """Write ns as us, exactly."""
    return f"{ns // 1000}.{ns % 1000:03}"


def cells(trace: Trace, name: str) -> list[str]:
    """Write a column as people read it, each value without a blank or in quotes."""
    column, facts = trace[name], trace.fields[name]
    if column.ndim > 1:
        return [",".join(map(str, row)) for row in column.tolist()]
    if is_plain(column, facts):
        return [str(value) for value in column.tolist()]
    return [readable(text) for text in trace_values.names(column, facts).tolist()]


def is_plain(column: NDArray[Any], facts: FieldFacts) -> bool:
    """Whether values are numbers and nothing else."""
    return column.dtype.kind in "iu" and not facts.named and not facts.format


def readable(text: str) -> str:
    """Escape what is no character to be seen, and quote what would look like several values or none."""
    text = printable(text)
    return f'"{text}"' if not text or " " in text else text


def times_of_day(stamps: NDArray[np.int64]) -> list[str]:
    """Write ns since 1970 as hours, minutes, seconds and microseconds of this machine's time zone."""
    seconds, rest = np.divmod(stamps, SECOND_NS)
    found, places = np.unique(seconds, return_inverse=True)
    clock = [time.strftime("%H:%M:%S", time.localtime(second)) for second in found.tolist()]
    return [f"{clock[place]}.{ns // 1000:06}" for place, ns in zip(places.tolist(), rest.tolist(), strict=True)]
