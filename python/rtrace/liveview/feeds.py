"""What is taken from a measurement for each frame, and what is left of it at the end."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rtrace.display.trace_cells import format_lost
from rtrace.display.trace_html import has_latencies
from rtrace.display.wording import format_lost_of, noun
from rtrace.errors import ClosedError, LostEventsWarning
from rtrace.histogram import SLOTS, Histogram
from rtrace.liveview.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rtrace.trace import Trace

# Newest events in a frame.
LATEST = 12
# What of a result's losses is due to looking on for so long that not everything could be kept.
NOT_KEPT = "events_not_kept"


class Calls(Protocol):
    """A measurement that counts calls, or pairs of events."""

    def snapshot(self) -> Histogram: ...  # noqa: D102  # as of Counting


class Events(Protocol):
    """A measurement that records events."""

    def read(self, timeout: float | None = None) -> NDArray[np.void]: ...  # noqa: D102  # as of Recording
    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace: ...  # noqa: D102


class Progress:
    """How long it has been going on, how many there are, and how many came since the last look."""

    def __init__(self, duration: float | None) -> None:
        self._end = None if duration is None else time.monotonic() + duration
        self._seconds = 0.0
        self._number = 0

    def say(self, number: int, what: str, seconds: float, *, ended: bool) -> str:
        """Bring it up to date with so many in so many seconds, and say it in a line."""
        rate = (number - self._number) / max(seconds - self._seconds, 1e-9)
        self._seconds, self._number = seconds, number
        counted = f"{number:,} {what}{'s' * (number != 1)} in {seconds:.1f} s"
        if ended:
            return f"{counted}, {_per_second(number / max(seconds, 1e-9))} on average; ended"
        left = "" if self._end is None else f"; {max(0.0, self._end - time.monotonic()):.1f} s to go"
        return f"{counted}, {_per_second(rate)} now{left}"


def _per_second(rate: float) -> str:
    return f"{rate:,.0f} per second" if rate >= 100 else f"{rate:.3g} per second"  # noqa: PLR2004  # three digits


class CallFeed:
    """Calls, or pairs of events: their histogram so far."""

    def __init__(self, source: Calls, duration: float | None) -> None:
        self._source = source
        self._progress = Progress(duration)
        self._hist = self._snapshot()

    def take(self) -> None:
        """Take what has come since the last time."""
        self._hist = self._snapshot()

    def finish(self) -> Histogram:
        """Return all there is."""
        return self._hist

    def frame(self, *, ended: bool) -> Frame:
        """Return what there is to show."""
        hist = self._hist
        status = self._progress.say(hist.total, noun(hist), hist.duration, ended=ended)
        lost = format_lost_of(hist) if hist.lost else ""
        how = f", by {hist.mechanism}" * bool(hist.mechanism)
        return Frame(hist.target, status + how, lost, hist)

    def _snapshot(self) -> Histogram:
        # Losses stand in the frame, which is where people look.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LostEventsWarning)
            return self._source.snapshot()


class EventFeed:
    """Events: the newest of them, and the histogram of their latencies if they have such.

    Parameters
    ----------
    source
        The recording.
    duration
        How long it is to go on, seconds; None if until it is stopped.
    keep
        Most events that are kept for the result: the newest.
    """

    def __init__(self, source: Events, duration: float | None, keep: int) -> None:
        self._source = source
        self._keep = keep
        self._progress = Progress(duration)
        self._batches: deque[NDArray[np.void]] = deque()
        self._held = 0
        self._total = 0
        self._first_ns: int | None = None
        self._counts = np.zeros(SLOTS, np.uint64)
        self._sum_ns = 0
        # Has no events, but the facts so far.
        self._empty = self._facts([])
        self.take()

    def take(self) -> None:
        """Take what has come since the last time."""
        batch = self._source.read(0)
        self._empty = self._facts([])
        if not len(batch):
            return
        if self._first_ns is None:
            self._first_ns = int(batch["ts_ns"].min())
        part = dataclasses.replace(self._empty, records=batch)
        if has_latencies(part):
            counted = part.histogram()
            self._counts = self._counts + counted.counts
            self._sum_ns += counted.sum_ns
        self._batches.append(batch)
        self._total += len(batch)
        self._held += len(batch)
        while self._held > self._keep:
            too_many = self._held - self._keep
            oldest = self._batches.popleft()
            if len(oldest) > too_many:
                self._batches.appendleft(oldest[too_many:])
            self._held -= min(len(oldest), too_many)

    def finish(self) -> Trace:
        """Return all there is."""
        try:
            trace = self._facts(self._batches)
        except ClosedError:
            # Closed by somebody else, it has what was taken before, and the facts of that time.
            records = np.concatenate([self._empty.records, *self._batches])
            trace = dataclasses.replace(self._empty, records=records)
        dropped = self._total - self._held
        if not dropped:
            return trace
        return dataclasses.replace(trace, losses={**trace.losses, NOT_KEPT: trace.losses.get(NOT_KEPT, 0) + dropped})

    def frame(self, *, ended: bool) -> Frame:
        """Return what there is to show."""
        facts = self._empty
        status = self._progress.say(self._total, "event", facts.duration, ended=ended)
        # Latencies were counted of every event; what is not kept is missing from the result alone.
        hist = self._histogram(facts) if self._counts.any() else None
        latest = dataclasses.replace(facts, records=self._newest())
        lost = format_lost(facts.losses) if facts.lost else ""
        return Frame(facts.target, status, lost, hist, latest, self._first_ns or 0)

    def _histogram(self, facts: Trace) -> Histogram:
        return Histogram(
            counts=self._counts, sum_ns=self._sum_ns, unit="us", target=facts.target, mechanism="tracepoint",
            losses=facts.losses,
        )  # fmt: skip

    def _newest(self) -> NDArray[Any]:
        found: list[NDArray[np.void]] = []
        missing = LATEST
        for batch in reversed(self._batches):
            if missing <= 0:
                break
            found.append(batch[-missing:])
            missing -= len(found[-1])
        return np.concatenate([self._empty.records, *reversed(found)])

    def _facts(self, batches: Sequence[NDArray[np.void]] | deque[NDArray[np.void]]) -> Trace:
        with warnings.catch_warnings():
            # Losses stand in the frame, which is where people look.
            warnings.simplefilter("ignore", LostEventsWarning)
            return self._source.trace(list(batches))
