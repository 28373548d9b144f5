"""What commands say besides their output: remarks, progress and warnings, all on standard error."""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import contextlib
import math
import sys
import time
import warnings

from rtrace.errors import LostEventsWarning

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace.stop import Stop

# Seconds between two updates of the progress line.
TICK = 0.2


def tell(line: str) -> None:
    """Print a line to standard error now, if there is such a thing."""
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print a remark to standard error, in lines that fit."""
    import textwrap  # noqa: PLC0415  # on the way of a start only if somebody is there to read

    tell(textwrap.fill(text, 79, subsequent_indent="  ", break_long_words=False))


def is_terminal() -> bool:
    """Whether somebody reads what goes to standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """The line that tells how far a measurement has come; on a terminal only."""

    def __init__(self, start: float, end: float, *, endless: bool = False) -> None:
        self._start = start
        self._end = end
        self._shown = (endless or end < math.inf) and is_terminal()
        self._due = start

    def wait(self, stop: Stop, until: float) -> bool:
        """Wait until then, or until there is reason to stop; return which."""
        if not self._shown:
            return stop.wait(until)
        try:
            while not (stopped := stop.wait(min(until, time.monotonic() + TICK))) and time.monotonic() < until:
                self.show()
        finally:
            self.clear()
        return stopped

    def show(self, more: str = "") -> None:
        """Bring the line up to date, unless that was done a moment ago."""
        now = time.monotonic()
        if not self._shown or now < self._due:
            return
        self._due = now + TICK / 2
        of = f" of {self._end - self._start:g}" if self._end < math.inf else ""
        print(f"\r{now - self._start:.1f}{of} s{more}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings of losses for people, every one, and without Python's source line."""

    def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        name = "" if issubclass(category, LostEventsWarning) else f"{category.__name__}: "
        tell(f"warning: {name}{message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", LostEventsWarning)
        warnings.showwarning = show_warning
        yield
