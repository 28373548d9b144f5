"""Readers of perf and ring buffers: polled together, their losses told to whoever asks, else at the end."""

from __future__ import annotations

import warnings

from rtrace import _rtrace
from rtrace.errors import LostEventsWarning

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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
        self.callback = callback
        self.asked = lost_callback is not None
        self._lost_callback = lost_callback
        self._told = 0

    @property
    def lost(self) -> int:
        """Events lost so far."""
        return sum((self.buffer.lost or {}).values())

    def tell_losses(self) -> None:
        """Call back with the losses since the last time."""
        if self._lost_callback is None:
            return
        news = self.lost - self._told
        if news:
            self._told += news
            self._lost_callback(news)

    def close(self) -> None:
        """Close the buffer; warn of losses that nobody asked about."""
        if self.buffer.closed:
            return
        lost = self.lost
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
        # What the native side polls.
        self._polled: list[Any] = []

    def append(self, reader: Reader) -> None:
        """Poll this one too, if it has a callback."""
        self._readers.append(reader)
        self._polled = [(each.buffer, each.callback) for each in self._readers if each.callback is not None]

    def remove(self, reader: Reader) -> None:
        """Poll this one no more."""
        self._readers.remove(reader)
        self._polled = [(each.buffer, each.callback) for each in self._readers if each.callback is not None]

    def poll(self, milliseconds: int) -> int:
        """Call back for what has come in any of them, waiting so long for the first (below zero: for ever)."""
        timeout = None if milliseconds is None or milliseconds < 0 else milliseconds / 1000
        count = _rtrace.poll_buffers(self._polled, timeout)
        for reader in self._readers:
            reader.tell_losses()
        return count

    def close(self) -> None:
        """Close all of them."""
        self._polled = []
        while self._readers:
            self._readers.pop().close()

    def losses(self) -> dict[str, int]:
        """Return the events lost so far of each buffer that lost some."""
        return {reader.name: reader.lost for reader in self._readers if reader.lost}


class AllReaders:
    """The perf buffers and the ring buffers, which bcc polls by different names."""

    def __init__(self) -> None:
        self.perf = Readers()
        self.ring = Readers()

    def close(self) -> None:
        """Close all of them."""
        self.perf.close()
        self.ring.close()

    def losses(self) -> dict[str, int]:
        """Return the events lost so far of each buffer that lost some."""
        return {**self.perf.losses(), **self.ring.losses()}
