"""The values of a column in the form in which people and other libraries take them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrace.trace_fields import exact_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtrace.trace import Trace
    from rtrace.trace_fields import FieldFacts

_FIRST_CONTINUATION, _LAST_CONTINUATION = 0x80, 0xBF


def decode(value: bytes) -> str:
    """Decode a kernel string: it ends at the first NUL, and what is not UTF-8 is replaced."""
    return value.partition(b"\0")[0].decode(errors="replace")


def texts(column: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """Decode a column of kernel strings."""
    data, offsets = utf8(column)
    joined = data.tobytes()
    if joined.isascii():
        # Cleared behind the first NUL and cast as a whole.
        kept = np.where(_within(column), _as_bytes(column), 0).astype(np.uint8)
        return kept.view(f"S{column.dtype.itemsize}")[:, 0].astype(np.str_)
    pieces = [joined[start:end].decode() for start, end in pairwise(offsets.tolist())]
    return np.array(pieces, np.str_)


def utf8(column: NDArray[np.bytes_]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode a column of kernel strings into UTF-8 text end to end, and the n + 1 offsets of the strings in it."""
    within = _within(column)
    data = _as_bytes(column)[within]
    offsets = _offsets(within.sum(axis=1))
    if not _is_utf8(data, offsets):
        pieces = [decode(value).encode() for value in column.tolist()]
        data = np.frombuffer(b"".join(pieces), np.uint8)
        offsets = _offsets(np.fromiter(map(len, pieces), np.int64, len(pieces)))
    return data, offsets


def is_exact(column: NDArray[np.bytes_]) -> bool:
    """Tell whether decoding keeps every byte: all of it UTF-8 with nothing behind a NUL."""
    within = _within(column)
    raw = _as_bytes(column)
    return not raw[~within].any() and _is_utf8(raw[within], _offsets(within.sum(axis=1)))


def names(column: NDArray[Any], facts: FieldFacts) -> NDArray[np.str_]:
    """Write every value of a column as people read it."""
    if column.dtype.kind == "S":
        return texts(column)
    if column.ndim > 1:
        return np.array([" ".join(map(str, row)) for row in column.tolist()], np.str_)
    if column.dtype.kind not in "iu":
        return np.array([str(value) for value in column.tolist()], np.str_)
    values, inverse = np.unique(column, return_inverse=True)
    bits = 8 * column.dtype.itemsize
    # A flag in the sign bit is a flag like the others.
    plain = [value & (1 << bits) - 1 if facts.flags else value for value in values.tolist()]
    return np.array([facts.name_of(value) for value in plain], np.str_)[inverse]


def group_keys(column: NDArray[Any], facts: FieldFacts) -> NDArray[Any]:
    """Return a column as the keys of groups: what people call its values where that is not a plain number.

    Texts that differ are different keys, also where they are not UTF-8.
    """
    if column.dtype.kind == "S":
        found, inverse = np.unique(column, return_inverse=True)
        return np.array([exact_text(value) for value in found.tolist()], np.str_)[inverse]
    return names(column, facts) if facts.worded else column


def plain(keys: NDArray[Any]) -> list[int | str]:
    """Return keys of groups as Python's own values."""
    return [int(key) if isinstance(key, bool) else key for key in keys.tolist()]


def to_dicts(trace: Trace, n: int | None, *, decoded: bool) -> list[dict[str, Any]]:
    """Return what ``Trace.to_dicts`` promises."""
    records = trace.records[:n]
    columns = []
    for name in records.dtype.names or ():
        column = records[name]
        columns.append((texts(column) if decoded and column.dtype.kind == "S" else column).tolist())
    return [dict(zip(records.dtype.names or (), row, strict=True)) for row in zip(*columns, strict=True)]


def _as_bytes(column: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(column).view(np.uint8).reshape(len(column), column.dtype.itemsize)


def _within(column: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Tell for each byte whether it stands before the first NUL."""
    return np.logical_and.accumulate(_as_bytes(column) != 0, axis=1)


def _offsets(lengths: NDArray[Any]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _is_utf8(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> bool:
    # The whole at once, which proves each string if none begins in the middle of a character.
    starts = offsets[:-1][offsets[:-1] < offsets[1:]]
    first = data[starts]
    if ((first >= _FIRST_CONTINUATION) & (first <= _LAST_CONTINUATION)).any():
        return False
    try:
        data.tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True
