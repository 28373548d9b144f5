"""Adding histograms up, and taking an earlier snapshot off a later one."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtrace.histogram import Histogram

# Spaces around it because a kernel's release may end in a plus sign.
_AND = " + "
# Observed at one time, where everything else is counted since the beginning: what is under way.
_STATES = frozenset({"starts_not_ended"})


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Add up two measurements of the same function: other intervals, other processes or other machines.

    Parameters
    ----------
    one, other
        Must agree in ``target``, ``unit`` and ``by``.

    Returns
    -------
    Histogram
        Counts, sums, losses, nested calls and what was observed are added, groups by key. ``started`` is the earlier
        one and ``duration`` the sum: the seconds of tracing that went into it, also where they overlapped or lay
        apart. ``tool``, ``mechanism``, ``boundary``, ``host`` and ``kernel`` list what went into it, sorted and joined
        by " + ". An option that differs becomes the tuple of its values, None where it was not set.

    Raises
    ------
    ValueError
        If they are not about the same thing; the message names what differs.
    """
    _same("add", one, other, ("target", "unit", "by"))
    starts = [hist.started for hist in (one, other) if hist.started is not None]
    facts: dict[str, Any] = {
        name: _listed(one, other, name) for name in ("tool", "mechanism", "boundary", "host", "kernel")
    }
    return dataclasses.replace(
        one,
        **_combine(one, other, int.__add__),
        **facts,
        started=min(starts, default=None),
        duration=one.duration + other.duration,
        options={name: _alternatives(one, other, name) for name in {**one.options, **other.options}},
    )


def difference(later: Histogram, earlier: Histogram) -> Histogram:
    """Take an earlier snapshot off a later one of the same session: what happened between the two.

    Parameters
    ----------
    later, earlier
        Must agree in everything but the counts, losses and duration.

    Returns
    -------
    Histogram
        What was counted and lost in between. It starts where the earlier snapshot ended, so that
        ``earlier + (later - earlier) == later`` but for the rounding of ``duration``, and for starts that have no end
        yet: of these it has those of the later one.

    Raises
    ------
    ValueError
        If they are not of the same session or in the wrong order, so that something would become negative.
    """
    names = ("target", "unit", "by", "tool", "mechanism", "boundary", "host", "kernel", "started", "options")
    _same("subtract", later, earlier, names)
    if later.duration < earlier.duration:
        _refuse("subtract", later, f"the snapshot taken off lasted longer, {earlier.duration} of {later.duration} s")

    def minus(more: int, less: int) -> int:
        if more < less:
            _refuse("subtract", later, "a count would become negative, so it is not the later one")
        return more - less

    started = later.started
    since = {name: number for name, number in earlier.observed.items() if name not in _STATES}
    # The counts as numbers: as an array they would need numpy.
    told: dict[str, Any] = {"counts": earlier.numbers, "observed": since}
    return dataclasses.replace(
        later,
        **_combine(later, dataclasses.replace(earlier, **told), minus),
        started=None if started is None else started + timedelta(seconds=earlier.duration),
        duration=later.duration - earlier.duration,
    )


def _combine(one: Histogram, other: Histogram, operation: Callable[[int, int], int]) -> dict[str, Any]:
    combined = _combine_counts(one, other, operation)
    bare: dict[str, Any] = {"counts": [0] * len(one.numbers), "sum_ns": 0, "groups": {}, "by": None}
    nothing = dataclasses.replace(one, **bare)
    groups = {
        key: dataclasses.replace(nothing, **_combine_counts(*_both(one.groups, other.groups, key, nothing), operation))
        for key in {**one.groups, **other.groups}
    }
    causes = {
        name: _combine_causes(getattr(one, name), getattr(other, name), operation) for name in ("losses", "observed")
    }
    return {**combined, **causes, "nested": operation(one.nested, other.nested), "groups": groups}


def _combine_causes(
    one: Mapping[str, int], other: Mapping[str, int], operation: Callable[[int, int], int]
) -> dict[str, int]:
    return {name: operation(*_both(one, other, name, 0)) for name in {**one, **other}}


def _combine_counts(one: Histogram, other: Histogram, operation: Callable[[int, int], int]) -> dict[str, Any]:
    # Python's integers cannot wrap around; the new histogram refuses what does not fit.
    pairs = zip(one.numbers, other.numbers, strict=True)
    return {"counts": [operation(*pair) for pair in pairs], "sum_ns": operation(one.sum_ns, other.sum_ns)}


def _both(one: Mapping[Any, Any], other: Mapping[Any, Any], key: object, missing: object) -> tuple[Any, Any]:
    return one.get(key, missing), other.get(key, missing)


def _listed(one: Histogram, other: Histogram, name: str) -> str:
    first, second = getattr(one, name), getattr(other, name)
    return _AND.join(sorted({*first.split(_AND), *second.split(_AND)} - {""}))


def _alternatives(one: Histogram, other: Histogram, name: str) -> Any:  # JSON has no type
    first, second = _both(one.options, other.options, name, None)
    if first == second:
        return first
    values: list[Any] = []
    for value in (first, second):
        values += value if isinstance(value, tuple) else [value]
    return tuple(sorted(set(values), key=lambda value: (type(value).__name__, value is not None and value)))


def _same(verb: str, one: Histogram, other: Histogram, names: tuple[str, ...]) -> None:
    for name in names:
        first, second = getattr(one, name), getattr(other, name)
        if first != second:
            _refuse(verb, one, f"{name} differs, {_shown(first)} and {_shown(second)}")


def _shown(value: Any) -> str:  # any fact
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value)


def _refuse(verb: str, hist: Histogram, cause: str) -> None:
    msg = f"{verb} histograms of `{hist.target}`: {cause}"
    raise ValueError(msg)
