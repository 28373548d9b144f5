"""The loop: take, draw, wait, until the time is over or somebody stops it."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from typing import TYPE_CHECKING, Any

from rtrace import option_checks
from rtrace.errors import ClosedError
from rtrace.liveview import screens
from rtrace.liveview.feeds import CallFeed, EventFeed
from rtrace.shapes.counting import Counting
from rtrace.stop import Stop

if TYPE_CHECKING:
    from rtrace.histogram import Histogram
    from rtrace.liveview.feeds import Events
    from rtrace.liveview.screens import Screen
    from rtrace.trace import Trace

__all__ = ["INTERVAL", "KEEP", "live"]

INTERVAL = 0.5
# Newest events that the result holds: some 100 MB of them.
KEEP = 1_000_000


def live(
    *measurements: Counting | Events,
    interval: float = INTERVAL,
    duration: float | None = None,
    keep: int = KEEP,
    screen: Screen | None = None,
    stop: Stop | None = None,
) -> list[Histogram | Trace]:
    """Show running measurements until they are stopped: in a notebook's output, or in place on a terminal.

    What is counted is shown as its histogram so far, events as the newest of them, their rate, and the histogram of
    their latencies if they have such; losses are shown with them. The stop button of the notebook, or Ctrl-C, ends the
    showing and raises nothing; the measurements stay attached until they are closed.

    Parameters
    ----------
    *measurements
        What :func:`function_latency`, :func:`tracepoint_events`, :func:`disksnoop`... return without a duration.
    interval
        Seconds between two updates.
    duration
        Seconds after which it ends by itself; None goes on until it is stopped.
    keep
        Most events that a result holds, the newest; those beyond count as lost (``events_not_kept``).
    screen
        Where to draw; None finds out.
    stop
        Whose wish to stop ends it; None makes one that the stop button and Ctrl-C ask.

    Returns
    -------
    list of Histogram and Trace
        What each measurement has seen so far, also if it was stopped early; each keeps its own as ``result``.

    Raises
    ------
    ClosedError
        If a measurement has been closed before.
    TypeError
        If something is no running measurement.
    ValueError
        If a time is not positive, or there is nothing to show.

    Notes
    -----
    Where standard output is neither a notebook nor a terminal, only the end is written. Of records that a measurement
    keeps beside its histogram, none is taken.

    Examples
    --------
    >>> with rtrace.vfsreadlat() as reads, rtrace.disksnoop() as requests:  # doctest: +SKIP
    ...     rtrace.live(reads, requests, duration=10)
    """
    interval = option_checks.seconds("interval", interval)
    duration = option_checks.maybe_seconds("duration", duration)
    keep = option_checks.whole("keep", keep, "at least 1", 1, 2**63)
    if not measurements:
        message = "there is no measurement to show"
        raise ValueError(message)
    pairs = [(measurement, _feed(measurement, duration, keep)) for measurement in measurements]
    end = math.inf if duration is None else time.monotonic() + duration
    # A wish to stop is asked for between frames, so that no batch that was taken is lost to an exception.
    with contextlib.nullcontext(stop) if stop else Stop(ways=(signal.SIGINT,), watch_output=False) as asked:
        try:
            with screen or screens.choose() as opened:
                _run([feed for _, feed in pairs], opened, asked, interval, end)
        finally:
            results = [_keep(measurement, feed) for measurement, feed in pairs]
    return results


def _run(feeds: list[CallFeed | EventFeed], screen: Screen, stop: Stop, interval: float, end: float) -> None:
    due = time.monotonic()
    ended = False
    while not ended:
        screen.draw([feed.frame(ended=False) for feed in feeds], ended=False)
        due = max(due + interval, time.monotonic())
        # Frames that could not be drawn in time are left out, not made up for.
        ended = stop.wait(min(due, end)) or time.monotonic() >= end
        try:
            for feed in feeds:
                feed.take()
        except ClosedError:
            ended = True
    screen.draw([feed.frame(ended=True) for feed in feeds], ended=True)


def _feed(measurement: Any, duration: float | None, keep: int) -> CallFeed | EventFeed:
    if isinstance(measurement, Counting):
        return CallFeed(measurement, duration)
    if not (hasattr(measurement, "read") and hasattr(measurement, "trace")):
        message = f"show {measurement!r}: it is no running measurement"
        raise TypeError(message)
    return EventFeed(measurement, duration, keep)


def _keep(measurement: Any, feed: CallFeed | EventFeed) -> Histogram | Trace:
    result: Histogram | Trace = feed.finish()
    measurement.result = result
    return result
