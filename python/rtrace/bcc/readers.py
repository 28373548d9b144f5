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
    """One open buffer. It knows nobody to call, who may know what closes it."""

    def __init__(self, name: str, buffer: _rtrace.PerfBuffer | _rtrace.RecordBuffer, *, asked: bool) -> None:
        self.name = name
        self.buffer = buffer
        self.asked = asked
        self._told = 0

    @property
    def lost(self) -> int:
        """Events lost so far."""
        return sum((self.buffer.lost or {}).values())

    def news(self) -> int:
        """Return the losses since the last time."""
        news = self.lost - self._told
        self._told += news
        return news

    def close(self) -> None:
        """Close the buffer."""
        self.buffer.close()

    def warn(self) -> None:
        """Warn of losses that nobody asked about."""
        lost = self.lost
        if lost and not self.asked:
            message = (
                f"{lost} events of `{self.name}` were lost: its buffer was full; more pages or faster callbacks help"
            )
            warnings.warn(message, LostEventsWarning, stacklevel=2)


class Readers:
    """The buffers of one kind of a BPF object, and whom to call."""

    def __init__(self, opened: list[Reader]) -> None:
        # Of both kinds; whoever closes the object has the same list.
        self._opened = opened
        self._callbacks: list[tuple[Reader, Callable[..., Any] | None, Callable[[int], Any] | None]] = []
        # What the native side polls.
        self._polled: list[Any] = []

    def append(
        self, reader: Reader, callback: Callable[..., Any] | None, lost_callback: Callable[[int], Any] | None
    ) -> None:
        """Poll this one too, if it has a callback."""
        self._opened.append(reader)
        self._arrange([*self._callbacks, (reader, callback, lost_callback)])

    def remove(self, reader: Reader) -> None:
        """Poll this one no more."""
        if reader in self._opened:
            self._opened.remove(reader)
        self._arrange([each for each in self._callbacks if each[0] is not reader])

    def forget(self) -> None:
        """Poll none of them any more."""
        self._arrange([])

    def _arrange(self, callbacks: list[Any]) -> None:
        self._callbacks = callbacks
        self._polled = [(reader.buffer, callback) for reader, callback, _ in callbacks if callback is not None]

    def poll(self, milliseconds: int) -> int:
        """Call back for what has come in any of them, waiting so long for the first (below zero: for ever)."""
        timeout = None if milliseconds is None or milliseconds < 0 else milliseconds / 1000
        count = _rtrace.poll_buffers(self._polled, timeout)
        for reader, _, lost_callback in self._callbacks:
            if lost_callback is not None and (news := reader.news()):
                lost_callback(news)
        return count


class AllReaders:
    """The perf buffers and the ring buffers, which bcc polls by different names."""

    def __init__(self, opened: list[Reader]) -> None:
        self._opened = opened
        self.perf = Readers(opened)
        self.ring = Readers(opened)

    def forget(self) -> None:
        """Poll none of them any more."""
        self.perf.forget()
        self.ring.forget()

    def losses(self) -> dict[str, int]:
        """Return the events lost so far of each buffer that lost some."""
        return {reader.name: reader.lost for reader in self._opened if reader.lost}
