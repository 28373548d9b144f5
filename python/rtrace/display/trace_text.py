"""A trace as a table of text below 80 columns, and its name in one line."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rtrace import option_checks
from rtrace.display.trace_cells import Cells, column_cells, format_lost, format_origin
from rtrace.display.wording import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtrace.trace import Trace

_WIDTH = 79
_GAP = "  "
_WIDEST_CELL = 40
# Shown first, whatever else there is, and shown only where there is room left.
_FIRST = ("ts_ns", "pid", "comm", "latency_ns")
_LAST = ("tid", "cpu")


def format_trace(
    trace: Trace, n: int | None = 20, columns: str | Sequence[str] | None = None, *, footer: bool = True
) -> str:
    """Return what ``Trace.print`` prints, without the newline at the end."""
    if n is not None and n < 0:
        msg = f"n: {n} is negative"
        raise ValueError(msg)
    rows = slice(0, n)
    wanted = list(trace.fields) if columns is None else list(option_checks.names("columns", columns))
    for name in wanted:
        # Names the columns there are.
        trace[name]
    shown = {name: _cut(column_cells(trace, name, rows)) for name in wanted}
    if columns is None:
        shown = _fitting(shown)
    lines = _table(list(shown.values())) if len(trace) else ["no events were recorded"]
    if footer:
        lines += _footer(trace, len(range(*rows.indices(len(trace)))), [name for name in wanted if name not in shown])
    return "\n".join(lines)


def format_latest(trace: Trace, first_ns: int, width: int = _WIDTH) -> list[str]:
    """Return all rows as the lines of a table, with times since `first_ns`, and the columns that fit into `width`."""
    return _table(latest_columns(trace, first_ns, width))


def latest_columns(trace: Trace, first_ns: int, width: int, gap: int = len(_GAP)) -> list[Cells]:
    """Return the columns that fit into `width` with such a gap between them, with times since `first_ns`."""
    shown = {name: _cut(column_cells(trace, name, slice(None), first_ns)) for name in trace.fields}
    return list(_fitting(shown, width, gap).values())


def name_trace(trace: Trace) -> str:
    """Return what ``repr(trace)`` returns."""
    return (
        f"<Trace {printable(trace.target)} events={len(trace)} fields={len(trace.fields)} "
        f"duration={trace.duration:.6g} s lost={trace.lost}>"
    )


def _fitting(columns: dict[str, Cells], width: int = _WIDTH, gap: int = len(_GAP)) -> dict[str, Cells]:
    """Return the columns that fit, in their order."""

    def rank(name: str) -> int:
        return _FIRST.index(name) - len(_FIRST) if name in _FIRST else int(name in _LAST)

    room = width + gap
    kept: set[str] = set()
    for name in sorted(columns, key=rank):
        needed = _width(columns[name]) + gap
        # The first one in any case.
        if needed <= room or not kept:
            kept.add(name)
            room -= needed
    return {name: column for name, column in columns.items() if name in kept}


def _table(columns: Sequence[Cells]) -> list[str]:
    padded = []
    for column in columns:
        width = _width(column)
        texts = [column.heading, *column.cells]
        padded.append([text.rjust(width) if column.right else text.ljust(width) for text in texts])
    return [_GAP.join(row).rstrip() for row in zip(*padded, strict=True)]


def _footer(trace: Trace, rows: int, left_out: Sequence[str]) -> list[str]:
    lines = []
    more = len(trace) - rows
    if more:
        lines.append(f"({more:,} more event{'s' * (more != 1)})")
    if left_out and len(trace):
        lines += textwrap.wrap(f"(not shown: {', '.join(left_out)})", _WIDTH, break_on_hyphens=False)
    lines.append(format_origin(trace))
    if trace.lost:
        lines.append(format_lost(trace.losses))
    return [line for line in lines if line]


def _cut(column: Cells) -> Cells:
    cells = [text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…" for text in column.cells]
    return column._replace(cells=cells)


def _width(column: Cells) -> int:
    return max(map(len, [column.heading, *column.cells]))
