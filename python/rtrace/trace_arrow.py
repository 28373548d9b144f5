"""A trace as Apache Arrow data, through whichever of nanoarrow and pyarrow is installed.

The fields of a record stand side by side, so each column is copied once, to stand alone as Arrow needs it; nothing is
copied where a record has one field only. The libraries then share these copies with whoever takes the data.

They, and not ctypes, make the C structures: Arrow's callbacks and the destructor of a capsule may run while an
exception is on its way, and a callback written in Python then takes the interpreter down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rtrace import trace_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from numpy.typing import NDArray

    from rtrace.trace import Trace

# Offsets of strings are 32 bits wide, in each batch anew.
_BATCH = 1 << 20
_NAMES = {"f4": "float32", "f8": "float64", "b1": "bool_"} | {
    f"{kind}{size}": f"{word}{8 * size}" for kind, word in (("i", "int"), ("u", "uint")) for size in (1, 2, 4, 8)
}


class Column(NamedTuple):
    """One column in Arrow's layout: the name of its type, its size parameter, its buffers and the rows of a list."""

    kind: str
    size: int
    length: int
    buffers: tuple[NDArray[Any] | None, ...]
    child: Column | None = None


def columns(records: NDArray[np.void], *, exact: bool = False) -> dict[str, Column]:
    """Lay the fields of `records` out as Arrow does.

    Kernel strings become UTF-8 text, decoded with replacement; with `exact` those that would lose bytes stay binary.
    """
    return {name: _column(records[name], exact=exact) for name in records.dtype.names or ()}


def pyarrow_table(trace: Trace, *, exact: bool = False) -> pa.Table:
    """Return `trace` as a pyarrow table."""
    try:
        import pyarrow as pa  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        msg = "convert trace to Arrow: pyarrow is not installed (pip install pyarrow)"
        raise ImportError(msg, name="pyarrow") from error

    # The type of a text column must not change from batch to batch.
    kept = {name: exact and not trace_values.is_exact(trace[name]) for name in _texts(trace.records)}

    def build(column: Column) -> pa.Array:
        children = [build(column.child)] if column.child else None
        kind = _pyarrow_type(pa, column)
        buffers = [None if buffer is None else pa.py_buffer(buffer) for buffer in column.buffers]
        return pa.Array.from_buffers(kind, column.length, buffers, null_count=0, children=children)

    def batch(records: NDArray[np.void]) -> pa.RecordBatch:
        laid = {name: _column(records[name], exact=kept.get(name, False)) for name in records.dtype.names or ()}
        return pa.RecordBatch.from_arrays([build(column) for column in laid.values()], names=list(laid))

    return pa.Table.from_batches([batch(records) for records in _batches(trace.records)])


def stream_capsule(trace: Trace) -> object:
    """Return the capsule of an ArrowArrayStream."""
    try:
        import nanoarrow as na  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415  # optional
        from nanoarrow.c_array import c_array_from_buffers  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415  # optional
        from nanoarrow.c_array_stream import CArrayStream  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415  # optional
    except ImportError:
        return _pyarrow_or_refuse(trace).__arrow_c_stream__()

    def build(column: Column) -> Any:
        children = [build(column.child)] if column.child else []
        kind = _nanoarrow_type(na, column)
        return c_array_from_buffers(kind, column.length, column.buffers, null_count=0, children=children)

    schema = _nanoarrow_schema(na, trace)
    batches = []
    for records in _batches(trace.records):
        children = [build(column) for column in columns(records).values()]
        batches.append(c_array_from_buffers(schema, len(records), [None], null_count=0, children=children))
    return CArrayStream.from_c_arrays(batches, na.c_schema(schema)).__arrow_c_stream__()


def schema_capsule(trace: Trace) -> object:
    """Return the capsule of an ArrowSchema."""
    try:
        import nanoarrow as na  # noqa: PLC0415  # optional
    except ImportError:
        return _pyarrow_or_refuse(trace.head(0)).schema.__arrow_c_schema__()
    return _nanoarrow_schema(na, trace).__arrow_c_schema__()


def _pyarrow_or_refuse(trace: Trace) -> pa.Table:
    try:
        return pyarrow_table(trace)
    except ImportError as error:
        msg = "export trace to Arrow: neither nanoarrow nor pyarrow is installed (pip install nanoarrow)"
        raise ImportError(msg, name="nanoarrow") from error


def _column(values: NDArray[Any], *, exact: bool = False) -> Column:
    length = len(values)
    if values.dtype.kind == "S":
        if exact:
            raw = np.ascontiguousarray(values).view(np.uint8)
            return Column("binary", values.dtype.itemsize, length, (None, raw))
        data, offsets = trace_values.utf8(values)
        return Column("string", 0, length, (None, offsets.astype(np.int32), data))
    if values.ndim > 1:
        flat = np.ascontiguousarray(values).reshape(-1)
        return Column("list", values.shape[1], length, (None,), _column(flat))
    if values.dtype.kind == "b":
        return Column("bool_", 0, length, (None, np.packbits(values, bitorder="little")))
    return Column(_NAMES[values.dtype.str[1:]], 0, length, (None, np.ascontiguousarray(values)))


def _batches(records: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    # Also for an empty trace one batch, which says what the columns are.
    for start in range(0, max(len(records), 1), _BATCH):
        yield records[start : start + _BATCH]


def _texts(records: NDArray[np.void]) -> list[str]:
    return [name for name in records.dtype.names or () if records.dtype[name].kind == "S"]


def _pyarrow_type(pa: Any, column: Column) -> Any:
    if column.child:
        return pa.list_(_pyarrow_type(pa, column.child), column.size)
    return pa.binary(column.size) if column.kind == "binary" else getattr(pa, column.kind)()


def _nanoarrow_type(na: Any, column: Column) -> Any:
    if column.child:
        return na.fixed_size_list(_nanoarrow_type(na, column.child), column.size)
    return getattr(na, column.kind)()


def _nanoarrow_schema(na: Any, trace: Trace) -> Any:
    laid = columns(trace.records[:0])
    return na.struct({name: _nanoarrow_type(na, column) for name, column in laid.items()}, nullable=False)
