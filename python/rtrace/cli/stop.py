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
    from typing import Self

WAYS_TO_STOP = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """While entered, SIGINT and SIGTERM end the wait; a second one ends everything, with KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked = False

    def wait(self, until: float) -> bool:
        """Wait until that time of ``time.monotonic``; return whether there is reason to stop.

        That is a signal, or that nobody reads our output any more.
        """
        while not self.asked:
            remaining = until - time.monotonic()
            if remaining <= 0:
                return False
            # In whole milliseconds, rounded up so as not to turn in circles; a day at most, to fit the system call.
            for descriptor, _ in self._poll.poll(math.ceil(min(remaining, 86_400) * 1000)):
                if descriptor != self._reader:
                    return True
                os.read(self._reader, 64)
        return True

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
        if sys.__stdout__ is not None:
            # Asked for nothing, the kernel still tells when the reading end of a pipe is gone.
            self._poll.register(sys.__stdout__.fileno(), 0)
        self._woken = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._handle) for number in WAYS_TO_STOP}
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken)
        os.close(self._reader)
        os.close(self._writer)
