"""Bring the records and facts of a trace into the one form it keeps, or refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtrace import histogram_check as check
from rtrace.read_only import ReadOnly
from rtrace.trace_fields import FieldFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

# What the kernel has: integers, booleans and strings of bytes; floats are for columns added later.
_KINDS = "iufbS"
_FLOAT_SIZES = (4, 8)
_UNIT_SUFFIXES = ("ns", "us", "ms", "bytes", "pages")


def records(value: NDArray[np.void]) -> NDArray[np.void]:
    """Return a read-only view of records whose fields every display and converter knows."""
    if not isinstance(value, np.ndarray) or not value.dtype.names:
        _wrong(TypeError, "records", "not a structured numpy array")
    if value.ndim != 1:
        _wrong(ValueError, "records", f"shape {value.shape} is not (n,)")
    for name in value.dtype.names or ():
        _field(name, value.dtype[name])
    if value.dtype.names is None or "ts_ns" not in value.dtype.names or value.dtype["ts_ns"].newbyteorder("=") != "u8":
        _wrong(ValueError, "records", "no field `ts_ns` of dtype uint64")
    view = np.asarray(value).view()
    plain = _plain(value.dtype)
    if plain != value.dtype:
        view = view.astype(plain)
    view.flags.writeable = False
    # A view of it, because the owner of an array may make it writeable again.
    return view.view()


def fields(value: Mapping[str, FieldFacts] | None, names: Iterable[str]) -> Mapping[str, FieldFacts]:
    """Return facts for every column, in the order of the columns; the unit from the name where nothing is given."""
    given = dict(check.mapping("fields", value))
    facts = {name: given.pop(name) if name in given else FieldFacts(unit=_unit(name)) for name in names}
    for name, unknown in given.items():
        _wrong(ValueError, "fields", f"no column `{name}` for {unknown!r}")
    for name, item in facts.items():
        if not isinstance(item, FieldFacts):
            _wrong(TypeError, f"field `{name}`", f"{item!r} is not a FieldFacts")
    return ReadOnly(facts)


def offset(value: int) -> int:
    """Return how far the wall clock is ahead of the monotonic one, ns; negative if it was set to its beginning."""
    number = check.whole("clock_offset_ns", value)
    if not -(1 << 63) <= number < 1 << 63:
        _wrong(ValueError, "clock_offset_ns", f"{number} does not fit 64 bits")
    return number


def lost_per_cpu(value: Iterable[int], lost: int) -> tuple[int, ...]:
    """Return the losses per CPU, which are part of all that was lost."""
    if not hasattr(type(value), "__iter__"):
        _wrong(TypeError, "lost_per_cpu", f"{value!r} is not a sequence of integers")
    counts = tuple(check.count("lost_per_cpu", item) for item in value)
    if sum(counts) > lost:
        _wrong(ValueError, "lost_per_cpu", f"{sum(counts)} events, more than the {lost} of losses")
    return counts


def _field(name: str, dtype: np.dtype[Any]) -> None:
    where = f"field {name!r}"
    if not (name.isascii() and name.isprintable() and name.strip()):
        _wrong(ValueError, where, "its name is not printable ASCII")
    base, shape = dtype.subdtype or (dtype, ())
    if base.kind not in _KINDS or (base.kind == "f" and base.itemsize not in _FLOAT_SIZES):
        _wrong(TypeError, where, f"dtype {dtype} is not an integer, float, bool or bytes")
    if shape and (len(shape) > 1 or base.kind == "S"):
        _wrong(TypeError, where, f"dtype {dtype} is neither a scalar nor one row of numbers")
    if dtype.itemsize == 0:
        _wrong(ValueError, where, f"dtype {dtype} has no bytes")


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return `dtype` in native byte order, its fields in the order of their offsets, none overlapping."""
    native = dtype.newbyteorder("=")
    names = native.names or ()
    placed: Mapping[str, Any] = native.fields or {}
    ends = 0
    ordered = not any(len(entry) > 2 for entry in placed.values())  # noqa: PLR2004  # has a title
    for name in names:
        item, offset = placed[name][:2]
        ordered = ordered and offset >= ends
        ends = offset + item.itemsize
    return native if ordered else np.dtype([(name, native[name]) for name in names])


def _unit(name: str) -> str:
    suffix = name.rpartition("_")[2]
    return suffix if suffix in _UNIT_SUFFIXES else ""


def _wrong(kind: type[Exception], name: str, cause: str) -> None:
    msg = f"{name}: {cause}"
    raise kind(msg)
