"""The result of tracing events: one record for each, and the facts of how they were recorded.

This is the seam between tracing and looking: everything here works on a saved file, on another machine, with no
privilege. How it is checked, merged, stored and shown is in ``trace_*`` beside this module and in ``display``.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO, overload

import numpy as np

from rtrace import histogram_check, trace_check, trace_file, trace_merge, trace_values
from rtrace.display import trace_text
from rtrace.trace_fields import FieldFacts

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import polars as pl  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import pyarrow as pa  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]
    from numpy.typing import NDArray

    from rtrace.histogram import Histogram, Unit

__all__ = ["FieldFacts", "Trace"]


@dataclasses.dataclass(init=False, repr=False, eq=False, frozen=True, slots=True)
class Trace:
    """Events as an array of records, with the facts of how they were recorded.

    Immutable. False when it has no events. Any library that speaks Arrow takes it as a table:
    ``polars.DataFrame(trace)``, ``pyarrow.table(trace)``, ``duckdb.sql("from trace")``.

    Parameters
    ----------
    records
        One record per event: a structured array of shape (n,) with a field ``ts_ns`` (uint64, ns of CLOCK_MONOTONIC).
        Fields are integers, booleans, floats, rows of such, or kernel strings (``S16``). Not copied, so do not change
        it afterwards, unless its fields are not in native byte order or overlap.
    target
        What was traced: ``"block:block_rq_issue"`` or ``"A -> B"``.
    tool
        What recorded it, as ``"disksnoop"`` or ``"tracepoint_events"``.
    host, kernel
        Name of the machine and release of its kernel.
    started
        When the recording began, with a time zone (kept as UTC), or None if not known.
    duration
        Length of the recording, seconds.
    clock_offset_ns
        What to add to ``ts_ns`` to get ns since 1970-01-01 UTC; 0 if not known, so that times count from boot.
    lost_per_cpu
        Events lost on each CPU for want of space; part of `losses`.
    losses
        Events that are missing from the records, by cause; a cause starts with a plural: ``"events_not_stored"``.
    observed
        What was counted and is no loss, by name: ``"filtered"``, ``"unmatched_ends"``.
    options
        The filters and settings of the recording: JSON scalars and sequences of them.
    fields
        What is known about columns, by name; kept for all of them, in their order.

    Attributes
    ----------
    records : numpy.ndarray, shape (n,)
        The records, read-only.
    lost_per_cpu : tuple of int
        Empty when not known.
    losses, observed, options, fields : Mapping
        Read-only; empty when there is nothing.

    Raises
    ------
    TypeError, ValueError
        If a fact is of the wrong type, shape or range.

    Examples
    --------
    >>> dtype = [("ts_ns", "u8"), ("pid", "u4"), ("comm", "S16"), ("latency_ns", "u8")]
    >>> records = np.array([(1_000_000, 7, b"dd", 2_500), (3_000_000, 9, b"cat", 7_100)], dtype)
    >>> trace = Trace(records=records, target="block:block_rq_issue -> block:block_rq_complete", duration=2.0)
    >>> trace
    <Trace block:block_rq_issue -> block:block_rq_complete events=2 fields=4 duration=2 s lost=0>
    >>> print(trace[trace["latency_ns"] > 5000])
    time (s)  pid  comm  latency (us)
    0.000000    9  cat          7.100
    >>> trace.histogram("latency_ns").percentile(50)
    Bounds(low=2, high=4)
    """

    records: NDArray[np.void]
    target: str
    tool: str
    host: str
    kernel: str
    started: datetime | None
    duration: float
    clock_offset_ns: int
    lost_per_cpu: tuple[int, ...]
    losses: Mapping[str, int]
    observed: Mapping[str, int]
    options: Mapping[str, Any]
    fields: Mapping[str, FieldFacts]

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        *,
        records: NDArray[np.void],
        target: str,
        tool: str = "",
        host: str = "",
        kernel: str = "",
        started: datetime | None = None,
        duration: float = 0.0,
        clock_offset_ns: int = 0,
        lost_per_cpu: Iterable[int] = (),
        losses: Mapping[str, int] | None = None,
        observed: Mapping[str, int] | None = None,
        options: Mapping[str, Any] | None = None,
        fields: Mapping[str, FieldFacts] | None = None,
    ) -> None:
        texts = {"target": target, "tool": tool, "host": host, "kernel": kernel}
        kept = trace_check.records(records)
        lost = histogram_check.causes("losses", losses)
        own = {
            **{name: histogram_check.text(name, value) for name, value in texts.items()},
            "records": kept,
            "started": histogram_check.moment("started", started),
            "duration": histogram_check.seconds("duration", duration),
            "clock_offset_ns": trace_check.offset(clock_offset_ns),
            "lost_per_cpu": trace_check.lost_per_cpu(lost_per_cpu, sum(lost.values())),
            "losses": lost,
            "observed": histogram_check.causes("observed", observed),
            "options": histogram_check.settings(options),
            "fields": trace_check.fields(fields, kept.dtype.names or ()),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def lost(self) -> int:
        """Number of events that are missing from the records, for whatever cause."""
        return sum(self.losses.values())

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Wall-clock time of each event, UTC: shape (n,), datetime64[ns]."""
        return (self.records["ts_ns"].astype(np.int64) + self.clock_offset_ns).view("datetime64[ns]")

    @property
    def events_per_second(self) -> float:
        """Number of records per second of the recording; nan when it has no duration."""
        return len(self) / self.duration if self.duration else math.nan

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    # Records are numpy's to walk: ``for record in trace.records``.
    __iter__ = None

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | NDArray[Any]) -> Trace: ...
    def __getitem__(self, key: str | slice | Sequence[int] | NDArray[Any]) -> NDArray[Any] | Trace:
        """Return a column by name, or the trace of some of the records by slice, boolean mask or array of indices.

        A column is a read-only view, so is a slice; the others copy. Facts stay those of the whole recording.

        Raises
        ------
        KeyError
            If there is no such column.
        IndexError
            If an index or the length of a mask is out of bounds.
        """
        if isinstance(key, str):
            if key not in self.fields:
                msg = f"no column `{key}`; there are {', '.join(self.fields)}"
                raise KeyError(msg)
            return self.records[key]
        if not isinstance(key, slice):
            key = np.asarray(key, dtype=None if len(key) else np.intp) if isinstance(key, (list, tuple)) else key
            if not isinstance(key, np.ndarray) or key.dtype.kind not in "iub" or key.ndim != 1:
                msg = f"trace[{key!r}]: not a column's name, a slice, a mask or indices; one record is trace.records[i]"
                raise TypeError(msg)
        return dataclasses.replace(self, records=self.records[key])

    def head(self, n: int = 5) -> Trace:
        """Return the trace of the first `n` records."""
        return self[:n]

    def sorted(self) -> Trace:
        """Return the trace in order of time; records of the same time stay in their order."""
        return self[np.argsort(self.records["ts_ns"], kind="stable")]

    def __add__(self, other: Trace) -> Trace:
        """Put two traces of the same target end to end; see `rtrace.trace_merge.concatenate`."""
        return trace_merge.concatenate(self, other) if isinstance(other, Trace) else NotImplemented

    def __radd__(self, other: int) -> Trace:
        """Let ``sum(traces)`` start from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Tell whether all records and all facts are the same."""
        if not isinstance(other, Trace):
            return NotImplemented
        same = self.records.dtype == other.records.dtype and trace_file.facts(self) == trace_file.facts(other)
        # Bytes, so that a nan equals itself; by column, since what stands between the fields does not count.
        return same and all(self.records[name].tobytes() == other.records[name].tobytes() for name in self.fields)

    __hash__ = None  # type: ignore[assignment]  # equal by contents, like an array

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by way of the plain form, which crosses versions."""
        return trace_file.build, (type(self), trace_file.facts(self), self.records)

    def names(self, column: str) -> NDArray[np.str_]:
        """Return a column as people read it.

        Values with a table of names by those names (``"SYNC|META"``, unknown bits in hexadecimal), numbers in the
        format that the field asks for, strings decoded with replacement.

        Returns
        -------
        numpy.ndarray, shape (n,), dtype str
            To compare and group by: ``trace[trace.names("rwbs") == "W"]``.
        """
        return trace_values.names(self[column], self.fields[column])

    def histogram(
        self, column: str = "latency_ns", *, by: str | None = None, unit: Unit = "us", max_groups: int = 1000
    ) -> Histogram:
        r"""Count a column of times into log2 buckets, as the kernel does.

        Parameters
        ----------
        column
            Which one; must be integers in ns, none negative.
        by
            Column to split by; its names where it has any (see `names`). Texts that are not UTF-8 are told apart by
            their bytes, as ``"a\xff"``.
        unit
            Unit of the buckets: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``.
        max_groups
            Of more groups than this the smallest become one group ``"(others)"``.

        Returns
        -------
        Histogram
            Every record counted once, ``sum_ns`` exact; facts and losses are those of the trace.

        Raises
        ------
        KeyError, ValueError
            If there is no such column, or it is not one of times.
        """
        from rtrace.trace_histogram import trace_histogram  # noqa: PLC0415  # not every trace has latencies

        return trace_histogram(self, column, by, unit, max_groups)

    def to_dicts(self, n: int | None = None, *, decode: bool = True) -> list[dict[str, Any]]:
        """Return the records, or the first `n`, as plain dicts.

        Kernel strings are str, cut at the first NUL and decoded with replacement, or bytes without `decode`.
        """
        return trace_values.to_dicts(self, n, decoded=decode)

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a pandas data frame, strings decoded; ImportError without pandas."""
        from rtrace.display.trace_frame import pandas_frame  # noqa: PLC0415  # imports pandas

        return pandas_frame(self)

    def to_polars(self) -> pl.DataFrame:
        """Return the records as a polars data frame, strings decoded; ImportError without polars."""
        from rtrace.display.trace_frame import polars_frame  # noqa: PLC0415  # imports polars

        return polars_frame(self)

    def to_arrow(self) -> pa.Table:
        """Return the records as a pyarrow table; ImportError without pyarrow.

        Strings are UTF-8, cut at the first NUL and decoded with replacement; rows of numbers are lists of fixed size.
        Each column is copied once, since a record's fields stand side by side; a record's only field is not copied.
        """
        from rtrace.trace_arrow import pyarrow_table  # noqa: PLC0415  # imports pyarrow

        return pyarrow_table(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the records to a library that speaks Arrow, as `to_arrow` lays them out.

        By nanoarrow or pyarrow, whichever is installed. A requested schema is left to the caller to cast to.
        """
        from rtrace.trace_arrow import stream_capsule  # noqa: PLC0415  # imports nanoarrow

        del requested_schema
        return stream_capsule(self)

    def __arrow_c_schema__(self) -> object:
        """Tell a library that speaks Arrow the types of the columns."""
        from rtrace.trace_arrow import schema_capsule  # noqa: PLC0415  # imports nanoarrow

        return schema_capsule(self)

    def to_csv(self, file: str | os.PathLike[str] | TextIO) -> None:
        """Write the records as comma-separated values below a line of names.

        Strings are decoded and always quoted, rows of numbers separated by spaces. A path gets all of it or nothing.
        """
        from rtrace.display.trace_frame import write_csv  # noqa: PLC0415  # few need it

        write_csv(self, file)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to exactly `path`, all of it or nothing: ``.parquet`` (needs pyarrow), else as ``.npz``.

        A file that is there keeps its mode and its owner; a device or a pipe is written into.

        Raises
        ------
        ValueError
            If the name ends in ``.csv``: `to_csv` writes that.
        """
        trace_file.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a trace that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        TraceFormatError
            If the file is truncated, corrupt or something else.
        """
        return trace_file.load(cls, path)

    def plot(self, ax: Axes | None = None, *, kind: Literal["rate", "latency"] | None = None) -> Axes:
        """Draw events per second, or how the latencies change over time.

        Latencies are points as long as they can be told apart, and a heat map beyond that.

        Parameters
        ----------
        ax
            Where to draw; None makes a new figure.
        kind
            ``"rate"``: events per second; ``"latency"``: latencies over time, which needs a column ``latency_ns``.
            None takes the latter where there is such a column.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no latencies to draw.
        """
        from rtrace.display.trace_plot import plot_trace  # noqa: PLC0415  # imports matplotlib

        return plot_trace(self, ax, kind)

    def print(
        self, n: int | None = 20, file: TextIO | None = None, *, columns: str | Sequence[str] | None = None,
        footer: bool = True,
    ) -> None:  # fmt: skip
        """Print the first records as a table, below it how many more there are and what was lost.

        Parameters
        ----------
        n
            How many; None means all.
        file
            Where to; None is standard output.
        columns
            Which ones, or the only one; None takes what fits below 80 columns and names the others.
        footer
            Whether to add the lines on further records, columns and losses, if there are any.
        """
        print(trace_text.format_trace(self, n, columns, footer=footer), file=file or sys.stdout)

    def __str__(self) -> str:
        """Return what `print` prints."""
        return trace_text.format_trace(self)

    def __repr__(self) -> str:
        """Name the thing in one line."""
        return trace_text.name_trace(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # Where there is no HTML, in a terminal or a text export, the table says more than the name; HTML is added.
        return {"text/plain": str(self)}

    def _repr_html_(self) -> str:
        from rtrace.display.trace_html import trace_html  # noqa: PLC0415  # only notebooks need it

        return trace_html(self)
