"""A running measurement that counts pairs of tracepoints, and records them too where that is wanted."""

from __future__ import annotations

import time

from rtrace.shapes.counting import Counting

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.histogram import Histogram, Unit
    from rtrace.shapes.recording import Records
    from rtrace.shapes.splits import Split
    from rtrace.trace import Trace

__all__ = ["TracepointLatency"]


class TracepointLatency(Counting):
    """A running measurement of pairs of tracepoints; made by :func:`tracepoint_latency`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of one
    :class:`~rtrace.Histogram` for each interval, also an asynchronous one. Losing the last reference detaches, with a
    ResourceWarning.

    Attributes
    ----------
    target : str
        What is measured: ``"START -> END"``.
    mechanism : str
        ``"tracepoint"``.
    boundary : str
        What exactly lies between the two time stamps, in a sentence.
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

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of a record."""
        return self._records.dtype

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records that have come since the last read; needs ``output="both"``.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), dtype :attr:`dtype`
            As of :meth:`rtrace.Recording.read`.

        Raises
        ------
        ClosedError
            If the measurement has been closed.
        ValueError
            If it keeps no records.
        """
        return self._live().read(timeout)

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait; see :meth:`rtrace.Recording.fileno`."""
        return self._live().ring.fileno()

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this measurement."""
        return self._live().trace(batches)

    def losses(self) -> dict[str, int]:
        """Return how many pairs are missing so far from the histogram or the records, by cause."""
        return self._live().session.losses()

    def observed(self) -> dict[str, int]:
        """Return what was seen beside the pairs, as :meth:`rtrace.Recording.observed` does."""
        return self._live().session.observed()

    def detach(self) -> None:
        """Let no more pairs come; see :meth:`rtrace.FunctionLatency.detach`."""
        self._live().session.detach()

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

    def _live(self) -> Records:
        self._check_open()
        return self._records

    def _release(self) -> None:
        self._records.session.close()

    def __repr__(self) -> str:
        """Name the measurement."""
        return f"<TracepointLatency {self.target}{' closed' if self.closed else ''}>"
