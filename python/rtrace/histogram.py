"""The result of timing a function: the kernel's log2 histogram and the facts of how it was made.

This is the seam between tracing and looking: everything here works on a saved file, on another machine, with no
privilege. How it is merged, stored and shown is in ``histogram_merge``, ``histogram_file`` and ``display``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from bisect import bisect_left
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TextIO

from rtrace import histogram_check as check
from rtrace import histogram_merge
from rtrace.display import histogram_text
from rtrace.read_only import ReadOnly

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SLOTS", "Bounds", "Histogram", "Unit"]

Unit = Literal["ns", "us", "ms", "s"]

SLOTS = check.SLOTS


class Bounds(NamedTuple):
    """The half-open range [low, high) of one bucket, in the unit of its histogram."""

    low: int
    high: int


@dataclasses.dataclass(init=False, repr=False, eq=False, frozen=True, slots=True)
class Histogram:
    """Latencies of one function, or between two tracepoints, in 64 log2 buckets, with the facts of their measurement.

    Bucket 0 covers 0..1 and bucket i covers 2**i .. 2**(i+1) - 1 of ``latency // unit``, as the kernel counts them.
    Immutable. Always true, also when nothing was counted, so that ``if hist:`` only tells it from None; ask ``total``.

    Parameters
    ----------
    counts
        Calls per bucket, shape (64,), integers from 0 to 2**64 - 1; copied.
    sum_ns
        Exact sum of the measured latencies, ns.
    unit
        Unit of the buckets: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``.
    target
        What was timed: a function, as ``"vfs_read"``, or two tracepoints, as ``"START -> END"``.
    tool
        What measured it, as ``"vfsreadlat"`` or ``"function_latency"``.
    mechanism
        How: ``"kprobe"``, ``"fentry"``, ``"syscall"`` or ``"tracepoint"``.
    boundary
        A sentence that says what exactly was timed; may be empty.
    host, kernel
        Name of the machine and release of its kernel.
    started
        When the measurement began, with a time zone (kept as UTC), or None if not known.
    duration
        Length of the measurement, seconds.
    losses
        Calls that are missing from the counts, by cause; a cause starts with a plural: ``"starts_not_stored"``.
    observed
        What was seen beside the calls that are counted, as ``{"below_minimum": 3}``: not losses.
    nested
        How many of the calls were made by a thread already inside the function.
    by
        What the histogram is split by (``"pid"``, ``"comm"``), or None.
    groups
        The parts of a split histogram by key (int for a pid, str for a comm), which must add up to `counts` and
        `sum_ns`. Each takes over the facts of the whole; losses, nested calls and what was observed only the whole
        knows. Empty ones are dropped, the rest sorted by total, largest first.
    options
        The filters and settings of the measurement: JSON scalars and sequences of them.

    Attributes
    ----------
    counts : numpy.ndarray, shape (64,), dtype uint64
        Calls per bucket; read-only.
    numbers : tuple of 64 int
        The same as Python's own integers. To have the counts in this form, or printed, no numpy is imported.
    groups, losses, observed, options : Mapping
        Read-only; empty when there is nothing.

    Raises
    ------
    TypeError, ValueError
        If a fact is of the wrong type, shape or range, or the groups do not add up.

    Examples
    --------
    >>> counts = [0, 0, 6, 3] + [0] * 60
    >>> hist = Histogram(counts=counts, sum_ns=60_000, unit="us", target="vfs_read", mechanism="kprobe")
    >>> hist
    <Histogram vfs_read mechanism=kprobe total=9 p50=4..8 us lost=0>
    >>> hist.percentile(99).high
    16
    >>> print(hist)
         usecs               : count     distribution
             0 -> 1          : 0        |                                        |
             2 -> 3          : 0        |                                        |
             4 -> 7          : 6        |****************************************|
             8 -> 15         : 3        |********************                    |
    """

    # The slot stays empty until it is asked for, see `__getattr__`.
    counts: NDArray[np.uint64]
    sum_ns: int
    unit: Unit
    target: str
    tool: str
    mechanism: str
    boundary: str
    host: str
    kernel: str
    started: datetime | None
    duration: float
    losses: Mapping[str, int]
    observed: Mapping[str, int]
    nested: int
    by: str | None
    groups: Mapping[Any, Histogram]
    options: Mapping[str, Any]
    numbers: tuple[int, ...] = dataclasses.field(init=False)

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        *,
        counts: ArrayLike,
        sum_ns: int,
        unit: Unit,
        target: str,
        tool: str = "",
        mechanism: str = "",
        boundary: str = "",
        host: str = "",
        kernel: str = "",
        started: datetime | None = None,
        duration: float = 0.0,
        losses: Mapping[str, int] | None = None,
        observed: Mapping[str, int] | None = None,
        nested: int = 0,
        by: str | None = None,
        groups: Mapping[Any, Histogram] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        facts = check.facts(
            target=target, unit=unit, tool=tool, mechanism=mechanism, boundary=boundary, host=host, kernel=kernel,
            started=started, duration=duration, options=options,
        )  # fmt: skip
        own = {
            "numbers": check.counts(counts),
            "sum_ns": check.count("sum_ns", sum_ns),
            "losses": check.causes("losses", losses),
            "observed": check.causes("observed", observed),
            "nested": check.count("nested", nested),
            "by": None if by is None else check.text("by", by),
            "groups": ReadOnly(),
        }
        for name, value in {**facts, **own}.items():
            object.__setattr__(self, name, value)
        if groups or by is not None:
            object.__setattr__(self, "groups", check.groups(self, check.mapping("groups", groups), facts))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NDArray[np.uint64]:
            """Make the array of counts when it is first asked for: importing numpy takes more than all the rest."""
            if name != "counts":
                message = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(message)
            import numpy as np  # noqa: PLC0415  # see above

            counts = np.array(self.numbers, np.uint64)
            counts.flags.writeable = False
            # A view of it, because the owner of an array may make it writeable again.
            object.__setattr__(self, "counts", counts.view())
            return self.counts

    @property
    def edges(self) -> NDArray[np.float64]:
        """Bounds of the buckets in `unit`: shape (65,), float64; bucket i is [edges[i], edges[i+1])."""
        import numpy as np  # noqa: PLC0415  # not needed to count and print

        # float64 as from numpy.histogram: the last edge, 2**64, is exact there and does not fit uint64.
        edges = np.exp2(np.arange(SLOTS + 1))
        edges[0] = 0
        return edges

    @property
    def total(self) -> int:
        """Number of calls counted."""
        return sum(self.numbers)

    @property
    def mean(self) -> float:
        """Mean latency in `unit`, exact and not estimated from the buckets; nan when nothing was counted."""
        total = self.total
        return self.sum_ns / (total * check.UNITS_NS[self.unit]) if total else math.nan

    @property
    def lost(self) -> int:
        """Number of calls that are missing from the counts, for whatever cause."""
        return sum(self.losses.values())

    def percentile(self, p: float) -> Bounds:
        """Return the bounds between which the p-th percentile (nearest rank) must lie.

        Parameters
        ----------
        p
            From 0 (the least latency) to 100 (the greatest); 99.9 means 999 of 1000.

        Returns
        -------
        Bounds
            Low (included) and high (excluded) end of its bucket, in `unit`.

        Raises
        ------
        TypeError
            If `p` is no number.
        ValueError
            If `p` is outside 0..100 or nothing was counted.
        """
        if isinstance(p, bool) or not isinstance(p, (Real, Decimal)):
            msg = f"percentile {p!r}: not a number from 0 to 100"
            raise TypeError(msg)
        if not 0 <= p <= 100:  # noqa: PLR2004  # percent
            msg = f"percentile {p}: outside 0..100"
            raise ValueError(msg)
        cumulative = list(accumulate(self.numbers))
        if not cumulative[-1]:
            msg = f"percentile of `{self.target}`: no calls were counted"
            raise ValueError(msg)
        # Through the decimal text and exact: in floating point, 99.9 % of 1000 calls would be call 1000.
        rank = max(1, math.ceil(Fraction(str(p)) * cumulative[-1] / 100))
        slot = bisect_left(cumulative, rank)
        return Bounds(1 << slot if slot else 0, 2 << slot)

    def __add__(self, other: Histogram) -> Histogram:
        """Merge two histograms of the same target; see `rtrace.histogram_merge.merge`."""
        return histogram_merge.merge(self, other) if isinstance(other, Histogram) else NotImplemented

    def __radd__(self, other: int) -> Histogram:
        """Let ``sum(histograms)`` start from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: Histogram) -> Histogram:
        """Take an earlier snapshot of the same session off; see `rtrace.histogram_merge.difference`."""
        return histogram_merge.difference(self, other) if isinstance(other, Histogram) else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Tell whether all counts and all facts are the same."""
        return self.to_dict() == other.to_dict() if isinstance(other, Histogram) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal by contents, like an array

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by way of the plain form."""
        # The plain form crosses versions.
        return type(self).from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and facts as plain Python objects that fit JSON, with the version of their schema.

        Returns
        -------
        dict
            All attributes; ``buckets`` is a list of ``{"low", "high", "count"}`` (ints, in `unit`, high excluded) up
            to the last bucket in use; ``started`` is ISO 8601 in UTC; ``groups`` is a list of ``{"key", "sum_ns",
            "buckets"}``; ``total``, ``mean`` (None when empty) and ``lost`` are there for other readers.
        """
        from rtrace import histogram_file  # noqa: PLC0415  # imports numpy

        return histogram_file.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a histogram from what `to_dict` returned.

        Raises
        ------
        TraceFormatError
            If it is something else, or of a newer schema.
        """
        from rtrace import histogram_file  # noqa: PLC0415  # imports numpy

        return histogram_file.from_dict(cls, data)

    def to_json(self, indent: int | None = None) -> str:
        """Return `to_dict` as JSON text, on one line unless `indent` is given."""
        return json.dumps(self.to_dict(), indent=indent)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the histogram to exactly `path` (by habit ``.npz``), all of it or nothing.

        A file that is there keeps its mode and its owner; a device or a pipe is written into.

        Raises
        ------
        ValueError
            If the name is that of another form, ``.parquet`` or ``.csv``.
        """
        from rtrace import histogram_file  # noqa: PLC0415  # imports numpy

        histogram_file.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a histogram that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        TraceFormatError
            If the file is truncated, corrupt or something else.
        """
        from rtrace import histogram_file  # noqa: PLC0415  # imports numpy

        return histogram_file.load(cls, path)

    def to_pandas(self) -> pd.DataFrame:
        """Return the buckets up to the last one in use as a data frame.

        Returns
        -------
        pandas.DataFrame
            Columns ``low``, ``high`` (float64, in `unit`, high excluded) and ``count`` (uint64); for a split
            histogram first a column named as `by`, and the rows of each group in turn.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        from rtrace.display.histogram_frame import histogram_frame  # noqa: PLC0415  # imports pandas

        return histogram_frame(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the histogram with matplotlib, the buckets of p50, p90 and p99 marked.

        Parameters
        ----------
        ax
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from rtrace.display.histogram_plot import plot_histogram  # noqa: PLC0415  # imports matplotlib

        return plot_histogram(self, ax)

    def plot_comparison(
        self, other: Histogram, ax: Axes | None = None, *, labels: tuple[str, str] = ("this", "other")
    ) -> Axes:
        """Draw the histogram beside another one with matplotlib, each in percent of its own calls.

        Parameters
        ----------
        other
            What to compare with, of the same unit; another target is fine.
        ax
            Where to draw; None makes a new figure.
        labels
            What to call the two of them.

        Returns
        -------
        matplotlib.axes.Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the other one is no histogram.
        ValueError
            If the units differ.
        """
        from rtrace.display.comparison_plot import plot_comparison  # noqa: PLC0415  # imports matplotlib

        return plot_comparison(self, other, ax, labels)

    def print(self, file: TextIO | None = None, *, footer: bool = True) -> None:
        """Print the histogram as bcc does, and below it what was lost.

        Parameters
        ----------
        file
            Where to; None is standard output.
        footer
            Whether to add a line on losses, if there are any.
        """
        text = histogram_text.format_histogram(self, footer=footer)
        if text:
            print(text, file=file or sys.stdout)

    def __str__(self) -> str:
        """Return what `print` prints."""
        return histogram_text.format_histogram(self)

    def __repr__(self) -> str:
        """Name the thing in one line."""
        return histogram_text.name_histogram(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # Where there is no HTML, in a terminal or a text export, the bars say more than the name; HTML is added.
        return {"text/plain": str(self) or repr(self)}

    def _repr_html_(self) -> str:
        from rtrace.display.histogram_html import histogram_html  # noqa: PLC0415  # only notebooks need it

        return histogram_html(self)
