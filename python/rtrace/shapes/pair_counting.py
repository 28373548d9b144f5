"""A running measurement that counts pairs of tracepoints, and records them too where that is wanted."""

from __future__ import annotations

import time

from rtrace.shapes.counting import Counting
from rtrace.shapes.records import RecordsOwner

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtrace.histogram import Histogram, Unit
    from rtrace.shapes.records import Records
    from rtrace.shapes.splits import Split
    from rtrace.trace import Trace

__all__ = ["TracepointLatency"]


class TracepointLatency(RecordsOwner, Counting):
    """A running measurement of pairs of tracepoints; made by :func:`tracepoint_latency`.

    Runs, is iterated over and ends as a :class:`~rtrace.FunctionLatency` does.

    Attributes
    ----------
    target : str
        What is measured: ``"START -> END"``.
    mechanism : str
        ``"tracepoint"``.
    boundary : str
        Which hits make a pair, in a sentence.
    """

    _counted = "pairs"

    def __init__(  # noqa: PLR0913  # one caller
        self,
        records: Records,
        split: Split | None,
        *,
        boundary: str,
        facts: Mapping[str, object],
        unit: Unit,
        interval: float,
        count: int | None,
    ) -> None:
        super().__init__(
            records.target, mechanism="tracepoint", boundary=boundary, unit=unit, interval=interval, count=count
        )
        self._records = records
        self._split = split
        self._facts = facts

    def measure(self, duration: float) -> Histogram:
        """Measure for `duration` seconds, detach, and return the histogram."""
        self._check_open()
        time.sleep(duration)
        self.detach()
        return self.snapshot()

    def record(self, duration: float) -> tuple[Histogram, Trace]:
        """Measure for `duration` seconds, detach, and return the histogram and the trace of the same pairs."""
        batches = self._collect(duration)
        return self.snapshot(), self.trace(batches)

    def _read(self) -> Histogram:
        session = self._live().session
        return self._histogram(
            session, self._split, losses=session.losses_of_counts(), observed=session.observed(), **self._facts
        )

    def __repr__(self) -> str:
        """Name the measurement."""
        return f"<TracepointLatency {self.target}{' closed' if self.closed else ''}>"
