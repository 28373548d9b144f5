"""Bring the facts of a histogram into the one form it keeps, or refuse them."""

from __future__ import annotations

import dataclasses
import math
import operator
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from rtrace.read_only import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

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
    return {
        "unit": known_unit(unit),
        "started": moment("started", started),
        "duration": seconds("duration", duration),
        "options": settings(options),
        **{name: text(name, value) for name, value in texts.items()},
    }


def known_unit(value: str) -> str:
    """Return a unit as it is."""
    if not isinstance(value, str) or value not in UNITS_NS:
        _wrong(ValueError, "unit", f"{value!r} is not one of {', '.join(UNITS_NS)}")
    return value


def mapping(name: str, value: Mapping[Any, Any] | None) -> Mapping[Any, Any]:
    """Return a mapping as it is; None stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _wrong(TypeError, name, f"{value!r} is not a mapping")
    return value


def settings(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return a read-only copy of options as JSON scalars and tuples of such."""
    return ReadOnly({text("option", name): setting(name, item) for name, item in mapping("options", value).items()})


def causes(name: str, value: Mapping[str, int] | None) -> Mapping[str, int]:
    """Return a read-only copy of counts by cause: what was lost, or observed."""
    return ReadOnly({text("cause", cause): count(cause, number) for cause, number in mapping(name, value).items()})


def counts(value: ArrayLike) -> tuple[int, ...]:
    """Return 64 counts as Python's integers."""
    numbers = _integers(value) if isinstance(value, (list, tuple)) else _elements(value)
    if len(numbers) != SLOTS:
        _wrong(ValueError, "counts", f"shape ({len(numbers)},) is not ({SLOTS},)")
    if min(numbers) < 0 or max(numbers) >= 1 << 64:
        _wrong(ValueError, "counts", "one is outside 0..2**64-1")
    return tuple(numbers)


def _integers(value: Sequence[Any]) -> list[int]:
    for item in value:
        if not isinstance(item, Integral):
            _wrong(TypeError, "counts", f"{item!r} is not an integer")
    return [int(item) for item in value]


def _elements(value: ArrayLike) -> list[int]:
    import numpy as np  # noqa: PLC0415  # who has an array has numpy

    array = np.asarray(value)
    if array.ndim != 1:
        _wrong(ValueError, "counts", f"shape {array.shape} is not ({SLOTS},)")
    if array.dtype.kind not in "iuO":
        _wrong(TypeError, "counts", f"dtype {array.dtype} is not an integer type")
    return _integers(array.tolist())


def whole(name: str, value: int) -> int:
    """Return an integer of any kind as int."""
    if not hasattr(type(value), "__index__"):
        _wrong(TypeError, name, f"{value!r} is not an integer")
    return operator.index(value)


def count(name: str, value: int) -> int:
    """Return a number of calls or of nanoseconds as int."""
    number = whole(name, value)
    if number < 0:
        _wrong(ValueError, name, f"{number} is negative")
    return number


def seconds(name: str, value: float) -> float:
    """Return a duration as float."""
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        _wrong(TypeError, name, f"{value!r} is not a duration in seconds")
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
    if "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].generic):
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
        if isinstance(key, bool) or not isinstance(key, (Integral, str)):
            _wrong(TypeError, f"group {key!r}", "a key is an int or a str")
        for name in ("target", "unit"):
            if getattr(part, name) != facts[name]:
                _wrong(ValueError, f"group {key!r}", f"{name} is {getattr(part, name)!r}, not {facts[name]!r}")
    if add_up(part.numbers for part in parts.values()) != list(whole.numbers):
        _wrong(ValueError, "groups", "their counts do not add up to those of the whole")
    if sum(part.sum_ns for part in parts.values()) != whole.sum_ns:
        _wrong(ValueError, "groups", "their sums of latencies do not add up to that of the whole")
    kept = {
        key if isinstance(key, str) else int(key): (part.total, part)
        for key, part in parts.items()
        if part.sum_ns or any(part.numbers)
    }
    order = sorted(kept, key=lambda key: (-kept[key][0], isinstance(key, str), key))
    alone = {**facts, "losses": None, "observed": None, "nested": 0, "by": None, "groups": None}
    ordered: dict[Any, Histogram] = {}
    for key in order:
        part = kept[key][1]
        # The counts as numbers: as an array they would need numpy.
        told: dict[str, Any] = {**alone, "counts": part.numbers}
        ordered[key] = dataclasses.replace(part, **told)
    return ReadOnly(ordered)


def add_up(rows: Iterable[Sequence[int]]) -> list[int]:
    """Add counts up, slot by slot."""
    return [sum(column) for column in zip([0] * SLOTS, *rows, strict=True)]


def _wrong(kind: type[Exception], name: str, cause: str) -> None:
    msg = f"{name}: {cause}"
    raise kind(msg)
