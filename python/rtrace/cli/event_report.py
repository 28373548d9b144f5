"""What ``rtrace report`` shows of a saved trace: how it was recorded, its first and its last events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtrace.display.trace_cells import format_lost
from rtrace.display.trace_text import format_trace
from rtrace.display.wording import circumstances, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace.trace import Trace

__all__ = ["facts", "format_lost", "table"]

FIRST, LAST = 10, 5


def facts(file: str, trace: Trace) -> Iterator[str]:
    """Yield what is known of how a trace was recorded."""
    rate = f", {trace.events_per_second:,.6g} per second" if trace.duration else ""
    yield f"{file}: {printable(trace.target)}, {len(trace):,} event{'s' * (len(trace) != 1)}{rate}"
    yield from circumstances(trace)


def table(trace: Trace) -> Iterator[str]:
    """Yield the first and last events in order of time, what is not shown of them, and what was lost."""
    between = len(trace) - FIRST - LAST
    ordered = trace.sorted()
    # A line that stands for a single row would save nothing.
    cut = between > 1
    # The first one is among them, so that times count from it.
    places = np.arange(len(trace))
    shown = ordered[(places < FIRST) | (places >= len(trace) - LAST)] if cut else ordered
    lines = format_trace(shown, None).splitlines()
    yield from lines[: FIRST + 1]
    if cut:
        yield f"... {between:,} more ..."
    yield from lines[FIRST + 1 :]
    if not trace.lost:
        yield format_lost(trace.losses)
