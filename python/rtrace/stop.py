"""Ctrl-C and SIGTERM while a measurement runs: a wish that is asked for, never an exception in the midst of work."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import types
    from typing import Any, Self

WAYS_TO_STOP = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """While entered, SIGINT and SIGTERM end the wait; a second one ends everything, with KeyboardInterrupt.

    Signals are the main thread's: entered in another one, it only waits.
    """

    def __init__(self, *, ways: tuple[signal.Signals, ...] = WAYS_TO_STOP, watch_output: bool = True) -> None:
        self._ways = ways
        self._handlers: dict[signal.Signals, Any] = {}
        self.asked = False
        # Whether nobody reads our output any more; not found out by a command that prints nothing.
        self.unread = False
        self._watch_output = watch_output

    def wait(self, until: float) -> bool:
        """Wait until that time of ``time.monotonic``; return whether there is reason to stop.

        That is a signal, or that nobody reads our output any more.
        """
        while not (self.asked or self.unread):
            remaining = until - time.monotonic()
            if remaining <= 0:
                return False
            # In whole milliseconds, rounded up so as not to turn in circles; a day at most, to fit the system call.
            self._look(math.ceil(min(remaining, 86_400) * 1000))
        return True

    def has_reason(self) -> bool:
        """Return whether there is reason to stop, without waiting."""
        self._look(0)
        return self.asked or self.unread

    def _look(self, milliseconds: int) -> None:
        for descriptor, _ in self._poll.poll(milliseconds):
            if descriptor == self._reader:
                os.read(self._reader, 64)
            else:
                self.unread = True

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        if self._watch_output and sys.__stdout__ is not None:
            # Asked for nothing, the kernel still tells when the reading end of a pipe is gone.
            self._poll.register(sys.__stdout__.fileno(), 0)
        try:
            self._woken = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        except ValueError:
            return self
        self._handlers = {number: signal.signal(number, self._handle) for number in self._ways}
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._handlers:
            signal.set_wakeup_fd(self._woken)
        os.close(self._reader)
        os.close(self._writer)
