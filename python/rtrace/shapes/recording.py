"""A running recording: records from a ring buffer, until it is closed, and the trace that they become."""

from __future__ import annotations

import os
import time
import warnings
from datetime import UTC, datetime

from rtrace import _rtrace
from rtrace.errors import LostEventsWarning
from rtrace.shapes.awaiting import Batches, RecordOwner
from rtrace.shapes.session import sums

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.trace import Trace

__all__ = ["Recording"]


class Recording(RecordOwner):
    """A running recording; made by :func:`tracepoint_events` and :func:`tracepoint_latency`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of batches, also an
    asynchronous one: ``async for batch in recording``. Losing the last reference detaches, with a ResourceWarning.

    Attributes
    ----------
    target : str
        What is recorded: ``"block:block_rq_issue"``, or ``"START -> END"``.
    """

    def __init__(  # noqa: PLR0913  # one caller for each shape
        self,
        target: str,
        loaded: _rtrace.Object,
        ring: _rtrace.RingBuffer,
        links: list[_rtrace.Link],
        *,
        tool: str,
        make_dtype: Callable[[], np.dtype[np.void]],
        make_fields: Callable[[Sequence[str]], Mapping[str, Any]],
        options: Mapping[str, object],
    ) -> None:
        super().__init__(f"the recording of `{target}`")
        self._object = loaded
        self._ring = ring
        self._links = links
        self.target = target
        self._tool = tool
        self._make_dtype = make_dtype
        self._make_fields = make_fields
        self._options = options
        self._attached = (time.monotonic(), datetime.now(UTC))
        # What turns the records' clock into the time of day.
        self._clock_offset_ns = time.time_ns() - time.monotonic_ns()
        self._dtype: np.dtype[np.void] | None = None
        self._warned = 0

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of a record."""
        if self._dtype is None:
            self._dtype = self._make_dtype()
        return self._dtype

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records that have come since the last read.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), dtype :attr:`dtype`
            One row per hit, n may be 0; owns its memory. Rows of one CPU are in the order of ``ts_ns``
            (CLOCK_MONOTONIC, ns); those of different CPUs may be a few microseconds out of it.

        Raises
        ------
        ClosedError
            If the recording has been closed.
        """
        self._live()
        return self._ring.read(timeout).view(self.dtype)

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait to be read.

        For ``select``, ``poll``, ``epoll`` and event loops; nothing is to be read from it but by :meth:`read`. It
        becomes readable as the ring buffer's reader is woken, or 50 ms after the first record at the latest, and when
        the recording is closed.

        Raises
        ------
        ClosedError
            If the recording has been closed.
        """
        self._live()
        return self._ring.fileno()

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        """Yield batches as they come, without end; close when the loop is left."""
        with self:
            while True:
                yield self.read()

    def __aiter__(self) -> AsyncIterator[NDArray[np.void]]:
        """Yield batches as they come, until it is closed.

        Leaving the loop does not close it, so that a wait that was cancelled can be taken up again: use ``with``.
        """
        return Batches(self)

    def losses(self) -> dict[str, int]:
        """Return how many records are missing so far, by cause; what did not occur is left out."""
        lost = sums(self._live(), "LOSSES") | self._ring.losses()
        if not self._options:
            # Hits that the kernel did not run the program for: anybody's, so they count only if all were wanted.
            loaded = self._live()
            missed = [loaded.program_info(link.program)["recursion_misses"] for link in self._links]
            lost["hits_missed"] = sum(missed)
        return {cause: number for cause, number in lost.items() if number}

    def lost_per_cpu(self) -> list[int]:
        """Return how many records each CPU could not write because the ring buffer was full."""
        _, values = self._live().map("LOSSES").snapshot()
        lost: list[int] = values["records_lost"][0].tolist()
        return lost

    def observed(self) -> dict[str, int]:
        """Return what was seen beside the records: how many hits in all, how many of them the filters left out."""
        return sums(self._live(), "OBSERVED")

    def record(self, duration: float) -> Trace:
        """Record for `duration` seconds, detach, and return everything as one trace."""
        batches = []
        end = time.monotonic() + duration
        while (left := end - time.monotonic()) > 0:
            batches.append(self.read(left))
        _rtrace.close_all(self._links)
        while len(batch := self.read(0)):
            batches.append(batch)
        return self.trace(batches)

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this recording."""
        import numpy as np  # noqa: PLC0415  # not needed to attach

        from rtrace.trace import Trace  # noqa: PLC0415

        losses = self.losses()
        lost = sum(losses.values())
        if lost > self._warned:
            self._warned = lost
            warnings.warn(f"{self.target}: {lost} records are missing: {losses}", LostEventsWarning, stacklevel=2)
        machine = os.uname()
        return Trace(
            records=np.concatenate([np.empty(0, self.dtype), *batches]),
            target=self.target,
            tool=self._tool,
            host=machine.nodename,
            kernel=machine.release,
            started=self._attached[1],
            duration=time.monotonic() - self._attached[0],
            clock_offset_ns=self._clock_offset_ns,
            lost_per_cpu=self.lost_per_cpu(),
            losses=losses,
            observed=self.observed(),
            options=self._options,
            fields=self._make_fields(self.dtype.names or ()),
        )

    def _live(self) -> _rtrace.Object:
        self._check_open()
        return self._object

    def _release(self) -> None:
        _rtrace.close_all(self._links)
        self._ring.close()
        self._object.close()

    def __repr__(self) -> str:
        """Name the recording."""
        return f"<Recording {self.target}{' closed' if self.closed else ''}>"
