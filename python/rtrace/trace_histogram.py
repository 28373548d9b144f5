"""The log2 histogram of a column of times, counted as the kernel counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtrace import histogram_check, option_checks, trace_values
from rtrace.histogram import SLOTS, Histogram
from rtrace.histogram_check import UNITS_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtrace.histogram import Unit
    from rtrace.trace import Trace

REST = "(others)"

_EDGES = np.left_shift(np.uint64(1), np.arange(1, SLOTS, dtype=np.uint64))
_LOW_HALF = np.uint64(0xFFFF_FFFF)


def trace_histogram(trace: Trace, column: str, by: str | None, unit: Unit, max_groups: int) -> Histogram:
    """Return what ``Trace.histogram`` promises."""
    values = _times(trace, option_checks.text("column", column))
    histogram_check.known_unit(unit)
    max_groups = option_checks.whole("max_groups", max_groups, "at least 1", 1, 2**63)
    slots = np.searchsorted(_EDGES, values // np.uint64(UNITS_NS[unit]), side="right")
    facts: dict[str, Any] = {"unit": unit, "target": trace.target}
    # One row per group; a histogram that is not split is one group.
    keys, places = (["all"], np.zeros(len(trace), np.intp)) if by is None else _groups(trace, by, max_groups)
    counts = np.bincount(places * SLOTS + slots, minlength=len(keys) * SLOTS).reshape(len(keys), SLOTS)
    sums = _sums(values, places, len(keys))
    parts = {
        key: Histogram(counts=row, sum_ns=total, **facts) for key, row, total in zip(keys, counts, sums, strict=True)
    }
    return Histogram(
        counts=counts.sum(axis=0), sum_ns=sum(sums), **facts, tool=trace.tool, mechanism="tracepoint",
        boundary=trace.fields[column].description, host=trace.host, kernel=trace.kernel, started=trace.started,
        duration=trace.duration, losses=trace.losses, observed=trace.observed, by=by,
        groups=parts if by is not None else None, options=trace.options,
    )  # fmt: skip


def _times(trace: Trace, column: str) -> NDArray[np.uint64]:
    values = trace[column]
    if values.ndim > 1 or values.dtype.kind not in "iu":
        _refuse(trace, f"column `{column}` of dtype {values.dtype} is not one of integers")
    if trace.fields[column].unit != "ns":
        _refuse(trace, f"column `{column}` is not in ns but in {trace.fields[column].unit or 'no unit'}")
    if len(values) and values.min() < 0:
        _refuse(trace, f"column `{column}` has negative values")
    return values.astype(np.uint64)


def _groups(trace: Trace, by: str, max_groups: int) -> tuple[list[int | str], NDArray[np.intp]]:
    """Return the keys, and for each record the place of its key; the smallest groups share the last one."""
    column = trace[option_checks.text("by", by)]
    if column.ndim > 1 or column.dtype.kind not in "iubS":
        _refuse(trace, f"cannot split by column `{by}` of dtype {column.dtype}")
    column = trace_values.group_keys(column, trace.fields[by])
    found, places, sizes = np.unique(column, return_inverse=True, return_counts=True)
    if len(found) <= max_groups:
        return trace_values.plain(found), places
    largest = np.argsort(-sizes, kind="stable")[:max_groups]
    renamed = np.full(len(found), max_groups, np.intp)
    renamed[largest] = np.arange(max_groups)
    keys = trace_values.plain(found[largest])
    if REST in keys:
        # A thread may have taken that very name.
        renamed[renamed == max_groups] = keys.index(REST)
        return keys, renamed[places]
    return [*keys, REST], renamed[places]


def _sums(values: NDArray[np.uint64], places: NDArray[np.intp], groups: int) -> list[int]:
    # In halves, since the sum of 64-bit values does not fit 64 bits.
    low, high = np.zeros(groups, np.uint64), np.zeros(groups, np.uint64)
    np.add.at(low, places, values & _LOW_HALF)
    np.add.at(high, places, values >> np.uint64(32))
    return [(more << 32) + less for more, less in zip(high.tolist(), low.tolist(), strict=True)]


def _refuse(trace: Trace, cause: str) -> None:
    msg = f"histogram of `{trace.target}`: {cause}"
    raise ValueError(msg)
