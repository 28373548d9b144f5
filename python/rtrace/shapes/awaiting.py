"""Awaiting records in an event loop, without a thread of Python's own."""

from __future__ import annotations

import os
import time

from rtrace import option_checks
from rtrace.errors import ClosedError
from rtrace.shapes.owner import Owner

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import asyncio
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.histogram import Histogram
    from rtrace.shapes.counting import Counting


# Longest that a loop is left alone. Jupyter's stop button cancels the cell's task from a signal handler, which a loop
# that waits in epoll does not notice until something wakes it (seen with ipykernel 7.4 and a plain asyncio.sleep).
WAKE_UP = 0.1


class RecordReader(Owner):
    """Base of what records are read from: they can be waited for by ``select`` and awaited."""

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records that have come since the last read."""
        raise NotImplementedError

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait to be read."""
        raise NotImplementedError

    def detach(self) -> None:
        """Let no more records come; those that came before can still be read."""
        raise NotImplementedError

    def _collect(self, duration: float) -> list[NDArray[np.void]]:
        """Read for `duration` seconds, detach, and return all batches."""
        batches = []
        end = time.monotonic() + duration
        while (left := end - time.monotonic()) > 0:
            batches.append(self.read(left))
        self.detach()
        # What was under way when the time was over.
        while len(batch := self.read(0)):
            batches.append(batch)
        return batches

    async def read_async(self, timeout: float | None = None) -> NDArray[np.void]:  # noqa: ASYNC109  # as read has it
        """Take the records that have come since the last read, awaiting the first of them.

        Other tasks of the event loop run meanwhile, and once in any case, so that a flood of records does not keep
        them from running. If the task is cancelled, no record is lost: the next read gets them.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,)
            What :meth:`read` returns; n may be 0.

        Raises
        ------
        ClosedError
            If it has been closed, also meanwhile.
        TypeError, ValueError
            If `timeout` is no time.
        """
        import asyncio  # noqa: PLC0415  # takes longer than to attach; who runs a loop has it

        timeout = option_checks.maybe_seconds("timeout", timeout, zero=True)
        end = None if timeout is None else time.monotonic() + timeout
        await asyncio.sleep(0)
        while not len(batch := self.read(0)):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            await wait_readable(asyncio.get_running_loop(), self.fileno(), left)
        return batch


class Batches:
    """An asynchronous iterator of the batches of records, until their owner is closed."""

    __slots__ = ("_source",)

    def __init__(self, source: RecordReader) -> None:
        self._source = source

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> NDArray[np.void]:
        """Await the next batch."""
        try:
            return await self._source.read_async()
        except ClosedError:
            raise StopAsyncIteration from None


class Snapshots:
    """An asynchronous iterator of one histogram for each interval, until the measurement is closed."""

    __slots__ = ("_due", "_interval", "_left", "_source")

    def __init__(self, source: Counting, interval: float, count: int | None) -> None:
        self._source = source
        self._interval = interval
        self._left = count
        self._due = time.monotonic() + interval

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Histogram:
        """Await the end of the interval; a wait that was cancelled is taken up again."""
        import asyncio  # noqa: PLC0415  # as above

        if self._left == 0:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        while (left := self._due - time.monotonic()) > 0:  # noqa: ASYNC110  # see WAKE_UP
            await asyncio.sleep(min(left, WAKE_UP))
        try:
            snapshot = self._source.snapshot(clear=True)
        except ClosedError:
            raise StopAsyncIteration from None
        self._due += self._interval
        self._left = None if self._left is None else self._left - 1
        return snapshot


async def wait_readable(loop: asyncio.AbstractEventLoop, descriptor: int, seconds: float | None) -> None:
    """Wait until a descriptor is readable, or so long, or for a moment: it is to be looked at again."""
    # One of our own for each wait: a loop keeps one callback for each descriptor, and this one cannot be closed, and
    # its number given to something else, while the loop looks at it.
    ours = os.dup(descriptor)
    woken = loop.create_future()
    timer = loop.call_later(WAKE_UP if seconds is None else min(seconds, WAKE_UP), wake, woken)
    try:
        loop.add_reader(ours, wake, woken)
        await woken
    finally:
        timer.cancel()
        loop.remove_reader(ours)
        os.close(ours)


def wake(future: asyncio.Future[None]) -> None:
    """Let a future's waiter go on; both a record and the time may come first."""
    if not future.done():
        future.set_result(None)
