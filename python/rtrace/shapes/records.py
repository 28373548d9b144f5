"""The records of a session, the trace that they become, and what who runs the session offers of both."""

from __future__ import annotations

import os
import time
import warnings
from datetime import UTC, datetime

from rtrace.errors import LostEventsWarning
from rtrace.shapes.awaiting import RecordReader

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from rtrace import _rtrace
    from rtrace.shapes.session import Session
    from rtrace.trace import Trace


class Records:
    """The records of a session, and the traces that they become.

    Attributes
    ----------
    session
        Where they come from.
    target : str
        What is recorded: ``"block:block_rq_issue"``, or ``"START -> END"``.
    """

    def __init__(  # noqa: PLR0913  # one caller for each shape
        self,
        session: Session,
        target: str,
        *,
        tool: str,
        make_dtype: Callable[[], np.dtype[np.void]],
        make_fields: Callable[[Sequence[str]], Mapping[str, Any]],
        options: Mapping[str, object],
    ) -> None:
        self.session = session
        self.target = target
        self._tool = tool
        self._make_dtype = make_dtype
        self._make_fields = make_fields
        self._options = options
        # What turns the records' clock into the time of day.
        self._clock_offset_ns = time.time_ns() - time.monotonic_ns()
        self._dtype: np.dtype[np.void] | None = None
        self._facts: Mapping[str, Any] | None = None
        self._warned = 0

    @property
    def ring(self) -> _rtrace.RingBuffer:
        """Where they come from."""
        if self.session.ring is None:
            message = f"the measurement of `{self.target}` keeps no records: make it with output='both'"
            raise ValueError(message)
        return self.session.ring

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of a record."""
        if self._dtype is None:
            self._dtype = self._make_dtype()
        return self._dtype

    def read(self, timeout: float | None) -> NDArray[np.void]:
        """Take the records that have come since the last read."""
        return self.ring.read(timeout).view(self.dtype)

    def lost_per_cpu(self) -> list[int]:
        """Return how many records each CPU could not write because the ring buffer was full."""
        _, values = self.session.object.map("LOSSES").snapshot()
        lost: list[int] = values["records_lost"][0].tolist()
        return lost

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this session."""
        import numpy as np  # noqa: PLC0415  # not needed to attach

        from rtrace.trace import Trace  # noqa: PLC0415

        losses = self.session.losses_of_records()
        lost = sum(losses.values())
        if lost > self._warned:
            self._warned = lost
            warnings.warn(f"{self.target}: {lost} records are missing: {losses}", LostEventsWarning, stacklevel=3)
        machine = os.uname()
        return Trace(
            records=np.concatenate([np.empty(0, self.dtype), *batches]),
            target=self.target,
            tool=self._tool,
            host=machine.nodename,
            kernel=machine.release,
            started=datetime.fromtimestamp(self.session.started, UTC),
            duration=self.session.lasted,
            clock_offset_ns=self._clock_offset_ns,
            lost_per_cpu=self.lost_per_cpu(),
            losses=losses,
            observed=self.session.observed(),
            options=self._options,
            fields=self._field_facts(),
        )

    def _field_facts(self) -> Mapping[str, Any]:
        if self._facts is None:
            self._facts = self._make_fields(self.dtype.names or ())
        return self._facts


class RecordsOwner(RecordReader):
    """Base of what runs a session with records: hands on to them as long as it is open."""

    _records: Records

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of a record."""
        return self._records.dtype

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records that have come since the last read.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), dtype :attr:`dtype`
            One row per record, n may be 0; owns its memory. Rows of one CPU are in the order of ``ts_ns``
            (CLOCK_MONOTONIC, ns); those of different CPUs may be a few microseconds out of it.

        Raises
        ------
        ClosedError
            If it has been closed.
        ValueError
            If it keeps no records, as a measurement of pairs with ``output="histogram"``.
        """
        return self._live().read(timeout)

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait to be read.

        For ``select``, ``poll``, ``epoll`` and event loops; nothing is to be read from it but by :meth:`read`. It
        becomes readable as the ring buffer's reader is woken, or 50 ms after the first record at the latest, and when
        its owner is closed.

        Raises
        ------
        ClosedError
            If it has been closed.
        ValueError
            If it keeps no records.
        """
        return self._live().ring.fileno()

    def losses(self) -> dict[str, int]:
        """Return how much is missing so far from the records or the histogram, by cause.

        What did not occur is left out.
        """
        return self._live().session.losses()

    def observed(self) -> dict[str, int]:
        """Return what was seen beside the records: how many hits in all, how many of them the filters left out.

        Of pairs also the ends without a start (``ends_unmatched``), the starts whose end has not come yet
        (``starts_not_ended``), and the pairs faster than the minimum (``below_minimum``).
        """
        return self._live().session.observed()

    def detach(self) -> None:
        """Let no more come; what came before can still be read, and :meth:`close` is due all the same.

        Doing it again changes nothing.

        Raises
        ------
        ClosedError
            If it has been closed.
        """
        self._live().session.detach()

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of whoever read them."""
        return self._live().trace(batches)

    def _live(self) -> Records:
        self._check_open()
        return self._records

    def _release(self) -> None:
        self._records.session.close()
