"""What yields batches of records: iterated over, awaited, or recorded for a time and made a trace of."""

from __future__ import annotations

from rtrace.shapes.awaiting import Batches, RecordReader

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.trace import Trace


class RecordStream(RecordReader):
    """Base of what yields batches of records, without end."""

    def losses(self) -> dict[str, int]:
        """Return how many records are missing so far, by cause; what did not occur is left out."""
        raise NotImplementedError

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this recording."""
        raise NotImplementedError

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

    def record(self, duration: float) -> Trace:
        """Record for `duration` seconds, detach, and return everything as one trace."""
        return self.trace(self._collect(duration))
