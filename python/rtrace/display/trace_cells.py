"""The columns of a trace as text: headings, cells and their alignment, for tables of every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rtrace import trace_values
from rtrace.display.wording import format_losses, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtrace.trace import Trace

_NS = "ns"


class Cells(NamedTuple):
    """One column of a table."""

    heading: str
    cells: list[str]
    right: bool


def column_cells(trace: Trace, name: str, rows: slice, first_ns: int | None = None) -> Cells:
    """Write some rows of a column: times in seconds since the first event, other nanoseconds in microseconds.

    The first event is that of the trace, unless its time is given.
    """
    facts = trace.fields[name]
    column = trace.records[name][rows]
    if name == "ts_ns":
        first = trace.records[name].min() if len(trace) and first_ns is None else np.uint64(first_ns or 0)
        return Cells("time (s)", [_point(value // 1000, 6) for value in (column - first).tolist()], right=True)
    if facts.unit == _NS and column.ndim == 1 and column.dtype.kind in "iu":
        return Cells(f"{name.removesuffix('_ns')} (us)", [_point(value, 3) for value in column.tolist()], right=True)
    unit = f" ({facts.unit})" * bool(facts.unit and facts.unit not in name.split("_"))
    cells = [printable(text) for text in trace_values.names(column, facts).tolist()]
    return Cells(name + unit, cells, right=column.ndim == 1 and column.dtype.kind != "S" and not facts.named)


def format_lost(losses: Mapping[str, int]) -> str:
    """Say how many events were lost and why.

    Examples
    --------
    >>> format_lost({"events_not_stored": 1})
    'lost: 1 event (1 event not stored)'
    """
    # The first one is behind the number, whatever the causes are called.
    return format_losses(losses).replace(" call", " event", 1)


def format_origin(trace: Trace) -> str:
    """Say when time 0 of a table was, as far as it is known."""
    if not (len(trace) and trace.clock_offset_ns):
        return ""
    return f"time 0 is {str(trace.times.min().astype('datetime64[us]')).replace('T', ' ')} UTC"


def _point(value: int, digits: int) -> str:
    """Write an integer as a decimal fraction, exactly."""
    whole, rest = divmod(abs(value), 10**digits)
    return f"{'-' * (value < 0)}{whole}.{rest:0{digits}}"
