"""A trace as a data frame of pandas or polars, and as comma-separated values."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any, TextIO

from rtrace import trace_values
from rtrace.whole_file import write_whole

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import polars as pl  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from numpy.typing import NDArray

    from rtrace.trace import Trace

_CSV_BATCH = 1 << 16


def pandas_frame(trace: Trace) -> pd.DataFrame:
    """Return what ``Trace.to_pandas`` promises: one column per field, rows of numbers as lists."""
    try:
        import pandas as pd  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        msg = "convert trace to a data frame: pandas is not installed (pip install pandas)"
        raise ImportError(msg, name="pandas") from error
    columns = {name: _plain(trace[name]) for name in trace.fields}
    kinds = {name: "object" if trace[name].ndim > 1 else None for name in columns}
    return pd.DataFrame({name: pd.Series(column, dtype=kinds[name]) for name, column in columns.items()})


def polars_frame(trace: Trace) -> pl.DataFrame:
    """Return what ``Trace.to_polars`` promises: one column per field, rows of numbers as arrays."""
    try:
        import polars as pl  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        msg = "convert trace to a data frame: polars is not installed (pip install polars)"
        raise ImportError(msg, name="polars") from error
    try:
        return pl.DataFrame(trace)
    except ImportError:
        # Without a library for Arrow it takes longer.
        pass
    return pl.DataFrame(
        {
            name: pl.Series(name, _decoded(trace[name]), pl.String if trace[name].dtype.kind == "S" else None)
            for name in trace.fields
        }
    )


def write_csv(trace: Trace, file: str | os.PathLike[str] | TextIO) -> None:
    """Write what ``Trace.to_csv`` promises; to a path all of it or nothing."""
    if isinstance(file, (str, os.PathLike)):
        write_whole(file, lambda binary: _write_to_binary(trace, binary))
    else:
        _write(trace, file)


def _write_to_binary(trace: Trace, binary: Any) -> None:
    text = io.TextIOWrapper(binary, encoding="utf-8", newline="")
    _write(trace, text)
    # Flushed but not closed, as the file is not ours.
    text.detach()


def _write(trace: Trace, file: TextIO) -> None:
    # All strings quoted: the module would leave a carriage return bare, and a thread may have one in its name.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(trace.fields)
    for start in range(0, len(trace), _CSV_BATCH):
        batch = trace.records[start : start + _CSV_BATCH]
        columns = [_decoded(batch[name]).tolist() for name in trace.fields]
        writer.writerows(
            [" ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in row]
            for row in zip(*columns, strict=True)
        )


def _decoded(column: NDArray[Any]) -> NDArray[Any]:
    return trace_values.texts(column) if column.dtype.kind == "S" else column


def _plain(column: NDArray[Any]) -> Any:
    return column.tolist() if column.ndim > 1 else _decoded(column)
