"""A running measurement that counts latencies in the kernel: what every shape of it has in common."""

from __future__ import annotations

import os
import time
import warnings

from rtrace import option_checks
from rtrace.errors import LostEventsWarning
from rtrace.shapes.awaiting import RecordReader, Snapshots

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from rtrace.errors import RtraceError
    from rtrace.histogram import Histogram, Unit
    from rtrace.shapes.session import Session
    from rtrace.shapes.splits import Split


class Counting(RecordReader):
    """Base of what counts latencies: gives snapshots of the histogram, and one for each interval.

    Attributes
    ----------
    target : str
        What is timed.
    mechanism : str
        How it is timed.
    boundary : str
        What exactly lies between the two time stamps, in a sentence.
    refused : dict[str, RtraceError]
        The mechanisms that were tried before and why the kernel or its guards said no.
    """

    # What is counted, in the plural.
    _counted = "calls"

    def __init__(  # noqa: PLR0913  # one caller for each shape
        self, target: str, *, mechanism: str, boundary: str, unit: Unit, interval: float, count: int | None
    ) -> None:
        super().__init__(f"the measurement of `{target}`")
        self.target = target
        self.mechanism = mechanism
        self.boundary = boundary
        self.refused: dict[str, RtraceError] = {}
        self._unit = unit
        self._interval = interval
        self._count = count
        self._warned = 0
        self._baseline: Histogram | None = None

    def snapshot(self, *, clear: bool = False) -> Histogram:
        """Return what has been counted so far, or since the last clearing snapshot.

        Counting goes on meanwhile and nothing is ever reset in the kernel, so that clearing loses nothing: what was
        counted before is subtracted afterwards.

        Parameters
        ----------
        clear
            Whether the next snapshot starts from here.

        Returns
        -------
        Histogram
            What ended between then and now; ``duration`` says how long that was.

        Raises
        ------
        ClosedError
            If the measurement has been closed.
        """
        whole = self._read()
        result = whole if self._baseline is None else whole - self._baseline
        if clear:
            self._baseline = whole
        if whole.lost > self._warned:
            self._warned = whole.lost
            lost = result.lost or whole.lost
            message = f"{self.target}: {lost} {self._counted} are missing: {dict(whole.losses)}"
            warnings.warn(message, LostEventsWarning, stacklevel=2)
        return result

    def _read(self) -> Histogram:
        """Return the histogram of all so far."""
        raise NotImplementedError

    def _histogram(self, session: Session, split: Split | None, **facts: Any) -> Histogram:
        """Make the histogram of what a session has counted by now."""
        from datetime import UTC, datetime  # noqa: PLC0415  # not needed to attach

        from rtrace.histogram import Histogram  # noqa: PLC0415  # the same

        (counts, sum_ns), parts = session.histograms(split)
        lasted = session.lasted
        what: dict[str, Any] = {"unit": self._unit, "target": self.target}
        groups = {name: Histogram(counts=part, sum_ns=total, **what) for name, (part, total) in parts.items()}
        machine = os.uname()
        return Histogram(
            counts=counts,
            sum_ns=sum_ns,
            **what,
            mechanism=self.mechanism,
            boundary=self.boundary,
            host=machine.nodename,
            kernel=machine.release,
            started=datetime.fromtimestamp(session.started, UTC),
            duration=lasted,
            by=None if split is None else split.by,
            groups=None if split is None else groups,
            **facts,
        )

    def __iter__(self) -> Iterator[Histogram]:
        """Yield one histogram for each interval, and close when the count is reached or the loop is left."""
        due = time.monotonic()
        made = 0
        with self:
            while self._count is None or made < self._count:
                due += self._interval
                time.sleep(max(0.0, due - time.monotonic()))
                yield self.snapshot(clear=True)
                made += 1

    def __aiter__(self) -> AsyncIterator[Histogram]:
        """Yield one histogram for each interval, until the count is reached or it is closed.

        Leaving the loop does not close it, so that a wait that was cancelled can be taken up again: use ``with``.
        """
        return Snapshots(self, self._interval, self._count)


def check_intervals(interval: float, count: int | None) -> tuple[float, int | None]:
    """Return intervals that can be iterated over."""
    if count is not None:
        count = option_checks.whole("count", count, "at least 1", 1, 2**63)
    return option_checks.seconds("interval", interval), count
