"""A running recording: records from a ring buffer, until it is closed, and the trace that they become."""

from __future__ import annotations

from rtrace.shapes.record_stream import RecordStream
from rtrace.shapes.records import RecordsOwner

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.shapes.records import Records

__all__ = ["Recording"]


class Recording(RecordsOwner, RecordStream):
    """A running recording; made by :func:`tracepoint_events` and :func:`tracepoint_latency`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of batches, also an
    asynchronous one: ``async for batch in recording``. Losing the last reference detaches, with a ResourceWarning.

    Attributes
    ----------
    target : str
        What is recorded: ``"block:block_rq_issue"``, or ``"START -> END"``.
    """

    def __init__(self, records: Records) -> None:
        super().__init__(f"the recording of `{records.target}`")
        self._records = records
        self.target = records.target

    def lost_per_cpu(self) -> list[int]:
        """Return how many records each CPU could not write because the ring buffer was full."""
        return self._live().lost_per_cpu()

    def __repr__(self) -> str:
        """Name the recording."""
        return f"<Recording {self.target}{' closed' if self.closed else ''}>"
