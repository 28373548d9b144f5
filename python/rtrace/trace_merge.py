"""Putting traces of the same target end to end."""

from __future__ import annotations

import dataclasses
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rtrace.trace import Trace

# As in a merged histogram; spaces around it because a kernel's release may end in a plus sign.
_AND = " + "


def concatenate(one: Trace, other: Trace) -> Trace:
    """Put the records of `other` behind those of `one`.

    Parameters
    ----------
    one, other
        Must agree in ``target``, in the dtype of the records and in ``fields``.

    Returns
    -------
    Trace
        The records in the order given, not sorted by time. Where the clocks differ (another boot, another machine)
        ``ts_ns`` is moved to the clock with the smaller ``clock_offset_ns``, so that wall-clock times stay as they
        were. Facts are merged as those of histograms: losses and observed counts added, ``started`` the earlier,
        ``duration`` the sum, texts joined by " + ", an option that differs the tuple of its values.

    Raises
    ------
    ValueError
        If they are not about the same thing; the message names what differs.
    """
    for name in ("target", "fields"):
        if getattr(one, name) != getattr(other, name):
            _refuse(one, f"{name} differs" + f", {one.target!r} and {other.target!r}" * (name == "target"))
    if one.records.dtype != other.records.dtype:
        _refuse(one, f"dtype differs, {one.records.dtype} and {other.records.dtype}")
    offset = min(one.clock_offset_ns, other.clock_offset_ns)
    starts = [trace.started for trace in (one, other) if trace.started is not None]
    return dataclasses.replace(
        one,
        records=np.concatenate([_moved(one, offset), _moved(other, offset)]),
        clock_offset_ns=offset,
        started=min(starts, default=None),
        duration=one.duration + other.duration,
        lost_per_cpu=tuple(map(sum, zip_longest(one.lost_per_cpu, other.lost_per_cpu, fillvalue=0))),
        losses=_added(one.losses, other.losses),
        observed=_added(one.observed, other.observed),
        options={
            name: _alternatives(one.options.get(name), other.options.get(name))
            for name in {**one.options, **other.options}
        },
        **{name: _listed(getattr(one, name), getattr(other, name)) for name in ("tool", "host", "kernel")},  # type: ignore[arg-type]
    )


def _moved(trace: Trace, offset: int) -> NDArray[np.void]:
    ahead = trace.clock_offset_ns - offset
    if not ahead:
        return trace.records
    if len(trace) and ahead + int(trace.records["ts_ns"].max()) >= 1 << 64:
        _refuse(trace, f"clock_offset_ns differs by {ahead}, more than a time stamp holds")
    records = trace.records.copy()
    records["ts_ns"] += np.uint64(ahead) if len(trace) else np.uint64(0)
    return records


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _listed(one: str, other: str) -> str:
    return _AND.join(sorted({*one.split(_AND), *other.split(_AND)} - {""}))


def _alternatives(one: Any, other: Any) -> Any:
    if one == other:
        return one
    values = {item for value in (one, other) for item in (value if isinstance(value, tuple) else [value])}
    return tuple(sorted(values, key=lambda value: (type(value).__name__, value is not None and value)))


def _refuse(trace: Trace, cause: str) -> None:
    msg = f"add traces of `{trace.target}`: {cause}"
    raise ValueError(msg)
