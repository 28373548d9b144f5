"""Readers of perf and ring buffers: polled together, their losses told to whoever asks, else at the end."""

from __future__ import annotations

import select
import warnings

from rtrace.errors import LostEventsWarning

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rtrace import _rtrace


class Reader:
    """One open buffer, and whom to call."""

    def __init__(
        self,
        name: str,
        buffer: _rtrace.PerfBuffer | _rtrace.RecordBuffer,
        callback: Callable[..., Any] | None,
        lost_callback: Callable[[int], Any] | None,
    ) -> None:
        self.name = name
        self.buffer = buffer
        self.asked = lost_callback is not None
        self._callback = callback
        self._lost_callback = lost_callback
        self._told = 0

    def poll(self, timeout: float | None) -> int:
        """Call back for what has come, waiting so many seconds for the first (None: for ever); return how many."""
        if self._callback is None:
            return 0
        count = self.buffer.poll(timeout, self._callback)
        if self._lost_callback is not None:
            lost = self.buffer.lost
            if lost > self._told:
                news, self._told = lost - self._told, lost
                self._lost_callback(news)
        return count

    def close(self) -> None:
        """Close the buffer; warn of losses that nobody asked about."""
        if self.buffer.closed:
            return
        lost = self.buffer.lost
        self.buffer.close()
        if lost and not self.asked:
            message = (
                f"{lost} events of `{self.name}` were lost: its buffer was full; more pages or faster callbacks help"
            )
            warnings.warn(message, LostEventsWarning, stacklevel=2)


class Readers:
    """The buffers of one kind of a BPF object."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._readers)

    def append(self, reader: Reader) -> None:
        """Poll this one too."""
        self._readers.append(reader)

    def remove(self, reader: Reader) -> None:
        """Poll this one no more."""
        self._readers.remove(reader)

    def poll(self, milliseconds: int) -> int:
        """Call back for what has come in any of them, waiting so long for the first (below zero: for ever)."""
        timeout = None if milliseconds is None or milliseconds < 0 else milliseconds / 1000
        if len(self._readers) == 1:
            return self._readers[0].poll(timeout)
        waiting = select.poll()
        by_descriptor = {}
        for reader in self._readers:
            descriptor = reader.buffer.fileno()
            by_descriptor[descriptor] = reader
            waiting.register(descriptor, select.POLLIN)
        ready = waiting.poll(None if timeout is None else milliseconds)
        return sum(by_descriptor[descriptor].poll(0) for descriptor, _ in ready)

    def consume(self) -> int:
        """Call back for what has come in any of them, whether or not a reader would have been woken."""
        return sum(reader.poll(0) for reader in self._readers)

    def close(self) -> None:
        """Close all of them."""
        while self._readers:
            self._readers.pop().close()


class AllReaders:
    """The perf buffers and the ring buffers, which bcc polls by different names."""

    def __init__(self) -> None:
        self.perf = Readers()
        self.ring = Readers()

    def close(self) -> None:
        """Close all of them."""
        self.perf.close()
        self.ring.close()
