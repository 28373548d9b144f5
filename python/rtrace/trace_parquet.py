"""A trace as a Parquet file that other programs read as a table, and rtrace reads back to the last byte.

The facts stand as JSON under the key ``rtrace`` of the schema's metadata, together with the layout of the records.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rtrace import npz_file, trace_arrow, trace_check, trace_file
from rtrace.whole_file import write_whole

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from rtrace.trace import Trace

_T = TypeVar("_T", bound="Trace")

_KEY = b"rtrace"


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` to exactly `path`, all of it or nothing.

    Strings are text where that loses nothing, else binary of a fixed size.
    """
    parquet = _parquet("save")
    table = trace_arrow.pyarrow_table(trace, exact=True)
    metadata = {**trace_file.facts(trace), "dtype": repr(np.lib.format.dtype_to_descr(trace.records.dtype))}
    table = table.replace_schema_metadata({_KEY: json.dumps(metadata)})
    write_whole(path, lambda file: parquet.write_table(table, file, compression="zstd"))


def load(cls: type[_T], path: str | os.PathLike[str]) -> _T:
    """Read what `save` wrote; TraceFormatError that names the file if it is anything else."""
    parquet = _parquet("load")
    with Path(path).open("rb") as file, trace_file.FORM.reading(path):
        stored = parquet.ParquetFile(file)
        found = (stored.schema_arrow.metadata or {}).get(_KEY)
        if found is None:
            trace_file.FORM.refuse("a Parquet file of something else")
        metadata = json.loads(found or b"null")
        trace_file.FORM.check(metadata)
        dtype = np.lib.format.descr_to_dtype(ast.literal_eval(metadata["dtype"]))
        rows = stored.metadata.num_rows
        npz_file.check_expansion(trace_file.FORM, rows * dtype.itemsize, Path(path).stat().st_size)
        # Refuses a layout that no trace has, before anything is read into it.
        trace_check.records(np.empty(0, dtype))
        if stored.schema_arrow.names != list(dtype.names or ()):
            trace_file.FORM.refuse("its columns are not those of the records")
        records = np.zeros(rows, dtype)
        place = 0
        for batch in stored.iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                records[name][place : place + len(batch)] = _values(column, dtype[name], name)
            place += len(batch)
        return trace_file.build(cls, metadata, records)


def _values(column: Any, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """Return a column as it stood in the records."""
    if column.null_count:
        trace_file.FORM.refuse(f"column `{name}` has nulls")
    if dtype.kind == "S":
        # Python's objects, one for each different string only.
        encoded = column.dictionary_encode()
        found = [item if isinstance(item, bytes) else item.encode() for item in encoded.dictionary.to_pylist()]
        values = np.array([*found, b""], dtype)
        if values[:-1].tolist() != [item.rstrip(b"\0") for item in found]:
            trace_file.FORM.refuse(f"column `{name}` has strings longer than {dtype.itemsize} bytes")
        texts: NDArray[Any] = values[encoded.indices.to_numpy()]
        return texts
    if dtype.shape:
        flat = column.flatten()
        if len(flat) != len(column) * dtype.shape[0]:
            trace_file.FORM.refuse(f"column `{name}` has lists of other lengths")
        rows: NDArray[Any] = _values(flat, dtype.base, name).reshape(-1, *dtype.shape)
        return rows
    plain: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if plain.dtype != dtype:
        trace_file.FORM.refuse(f"column `{name}` is of dtype {plain.dtype}, not {dtype}")
    return plain


def _parquet(verb: str) -> Any:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: PLC0415  # optional, slow
    except ImportError as error:
        msg = f"{verb} trace as Parquet: pyarrow is not installed (pip install pyarrow)"
        raise ImportError(msg, name="pyarrow") from error
    return parquet
