"""Bring the facts of a histogram into the one form it keeps, or refuse them."""

from __future__ import annotations

import dataclasses
import math
import operator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from rtrace.histogram import Histogram

SLOTS = 64
UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def facts(
    *,
    unit: str,
    started: datetime | None,
    duration: float,
    options: Mapping[str, Any] | None,
    **texts: str,
) -> dict[str, Any]:
    """Return the facts that a histogram shares with its groups."""
    if unit not in UNITS_NS:
        _wrong(ValueError, "unit", f"{unit!r} is not one of {', '.join(UNITS_NS)}")
    return {
        "unit": unit,
        "started": moment("started", started),
        "duration": seconds("duration", duration),
        "options": MappingProxyType({text("option", k): setting(k, v) for k, v in (options or {}).items()}),
        **{name: text(name, value) for name, value in texts.items()},
    }


def causes(value: Mapping[str, int] | None) -> Mapping[str, int]:
    """Return a read-only copy of counts by cause: what was lost, or observed."""
    return MappingProxyType({text("cause", cause): count(cause, number) for cause, number in (value or {}).items()})


def counts(value: ArrayLike) -> NDArray[np.uint64]:
    """Return a read-only copy of 64 counts as uint64."""
    # Through objects where it is no array: numpy may turn a list that mixes small integers with large ones into floats.
    array = value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
    objects = array.flat if array.dtype.kind == "O" else ()
    if array.dtype.kind not in "iuO" or not all(isinstance(item, (int, np.integer)) for item in objects):
        _wrong(TypeError, "counts", f"dtype {array.dtype} is not an integer type")
    if array.shape != (SLOTS,):
        _wrong(ValueError, "counts", f"shape {array.shape} is not ({SLOTS},)")
    if array.min() < 0 or array.max() >= 1 << 64:
        _wrong(ValueError, "counts", "one is outside 0..2**64-1")
    copy = array.astype(np.uint64)
    copy.flags.writeable = False
    # A view of it, because the owner of an array may make it writeable again.
    return copy.view()


def count(name: str, value: int) -> int:
    """Return a number of calls or of nanoseconds as int."""
    number = operator.index(value)
    if number < 0:
        _wrong(ValueError, name, f"{number} is negative")
    return number


def seconds(name: str, value: float) -> float:
    """Return a duration as float."""
    number = float(value)
    if not 0 <= number < math.inf:
        _wrong(ValueError, name, f"{number} is not a duration in seconds")
    return number


def text(name: str, value: str) -> str:
    """Return a text as it is."""
    if not isinstance(value, str):
        _wrong(TypeError, name, f"{value!r} is not a str")
    return str(value)


def moment(name: str, value: datetime | None) -> datetime | None:
    """Return a time in UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        _wrong(TypeError, name, f"{value!r} is not a datetime")
    if value.utcoffset() is None:
        _wrong(ValueError, name, f"{value.isoformat()} has no time zone")
    return value.astimezone(UTC)


def setting(name: str, value: Any) -> Any:  # JSON has no type
    """Return the value of an option as a JSON scalar, or as a tuple of such."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return tuple(setting(name, item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        _wrong(ValueError, f"option `{name}`", f"{value} does not fit JSON")
    if value is not None and not isinstance(value, (bool, int, float, str)):
        _wrong(TypeError, f"option `{name}`", f"{value!r} does not fit JSON")
    return value


def groups(whole: Histogram, parts: Mapping[Any, Histogram], facts: Mapping[str, Any]) -> Mapping[Any, Histogram]:
    """Return the groups with the facts of the whole, largest first, if they add up to it."""
    if whole.by is None:
        _wrong(ValueError, "groups", "given, but `by` does not say by what they are split")
    for key, part in parts.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer, str)):
            _wrong(TypeError, f"group {key!r}", "a key is an int or a str")
        for name in ("target", "unit"):
            if getattr(part, name) != facts[name]:
                _wrong(ValueError, f"group {key!r}", f"{name} is {getattr(part, name)!r}, not {facts[name]!r}")
    # Modulo 2**64 on both sides if it should ever overflow.
    if not np.array_equal(sum((part.counts for part in parts.values()), np.zeros(SLOTS, np.uint64)), whole.counts):
        _wrong(ValueError, "groups", "their counts do not add up to those of the whole")
    if sum(part.sum_ns for part in parts.values()) != whole.sum_ns:
        _wrong(ValueError, "groups", "their sums of latencies do not add up to that of the whole")
    kept = {
        key if isinstance(key, str) else int(key): (part.total, part)
        for key, part in parts.items()
        if part.sum_ns or part.counts.any()
    }
    order = sorted(kept, key=lambda key: (-kept[key][0], isinstance(key, str), key))
    alone = {**facts, "losses": None, "observed": None, "nested": 0, "by": None, "groups": None}
    return MappingProxyType({key: dataclasses.replace(kept[key][1], **alone) for key in order})


def _wrong(kind: type[Exception], name: str, cause: str) -> None:
    msg = f"{name}: {cause}"
    raise kind(msg)
