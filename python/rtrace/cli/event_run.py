"""What ``trace``, ``disksnoop`` and ``latency`` share: the options, and one recording from its first event to its last.

Events are printed as they come, or kept and written into a file.
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings

from rtrace.cli.arguments import add_task_options, positive, span
from rtrace.cli.output import OF_EVENTS, check_output
from rtrace.cli.talk import Progress, tell
from rtrace.cli.watch import add_live, check_live, watch
from rtrace.errors import CommandError, LostEventsWarning, RtraceError
from rtrace.stop import Stop

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.cli.arguments import Parser
    from rtrace.cli.event_lines import Lines
    from rtrace.shapes.recording import Recording
    from rtrace.tools.urandomread import UrandomReads
    from rtrace.trace import Trace

    Batch = NDArray[np.void]

GREETING = "Tracing {}... Hit Ctrl-C to end."
# Seconds after which a read looks whether there is reason to stop.
LOOK = 0.1
# Seconds between two looks at the losses.
LOSSES = 1.0


def add_options(parser: Parser, *, filters: bool = True) -> argparse._MutuallyExclusiveGroup:
    """Add the options of every recording of events; return the group of those that say how events are shown."""
    add = parser.add_argument
    add("-d", "--duration", type=span, metavar="SECONDS", help="end after so long")
    add("-n", "--count", type=positive, help="end after so many events")
    if filters:
        add("--filter", metavar="EXPR", help="only events that meet this: 'bytes >= 4096'")
    add_task_options(parser)
    ways = parser.add_mutually_exclusive_group()
    add_live(ways)
    ways.add_argument("--json", action="store_true", help="print one JSON object per event and line")
    ways.add_argument("--csv", action="store_true", help="print comma-separated values below their names")
    add("-o", "--output", metavar="FILE", help=f"save all of it ({', '.join(OF_EVENTS)}) and print no table")
    return ways


def check_file(parser: Parser, arguments: argparse.Namespace) -> None:
    """Refuse a file that cannot be written, before an hour is spent on what belongs there."""
    if arguments.output is not None and getattr(arguments, "wall", False):
        parser.error("argument --wall: not allowed with argument -o/--output")
    check_output(arguments, OF_EVENTS, prints=prints(arguments))


def prints(arguments: argparse.Namespace) -> bool:
    """Whether events are printed: not by a command that is to save them, unless it is asked to."""
    return bool(arguments.output is None or arguments.json or arguments.csv or arguments.live)


def names(parser: Parser, option: str, text: str) -> list[str]:
    """Split a list of names at its commas."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        parser.error(f"argument {option}: {text!r} is not a list of names like a,b")
    return found


@contextlib.contextmanager
def running(
    attach: Callable[[], Recording | UrandomReads], arguments: argparse.Namespace, target: str
) -> Iterator[Run]:
    """Record what `attach` attaches to, until the block is left."""
    check_live(arguments)
    try:
        attached = attach()
    except (ValueError, TypeError) as error:
        if isinstance(error, RtraceError):
            raise
        raise CommandError(str(error), hint=format_hint(target.partition(" ")[0]), exit_code=2) from error
    with attached as recording, Stop(watch_output=prints(arguments)) as stop:
        tell(GREETING.format(target))
        yield Run(recording, arguments, stop)


def format_hint(target: str) -> str:
    """Tell where the fields of a tracepoint are listed."""
    return f"`rtrace format {target}` lists its fields"


class Run:
    """One recording from its first event to its last."""

    def __init__(self, recording: Recording | UrandomReads, arguments: argparse.Namespace, stop: Stop) -> None:
        self._recording = recording
        self._arguments = arguments
        self._stop = stop
        self._started = time.monotonic()
        self._end = math.inf if arguments.duration is None else self._started + arguments.duration
        self._events = 0
        self._told = 0
        # From when on what this process itself does counts as well: its imports are nobody's business.
        self._ready_ns = 0

    def go(self, make_table: Callable[[Trace], Lines] | None = None) -> None:
        """Print events as they come, or save them.

        `make_table` gets a trace without events, and returns what writes lines for people if it is not to be the usual.
        """
        # Takes long: now events are kept in the meantime.
        import rtrace.trace  # noqa: F401, PLC0415

        if self._arguments.live:
            self._save(watch(self._recording, self._arguments, self._stop))
            self.check_read()
            return
        batches: list[Batch] = []
        try:
            if prints(self._arguments):
                self._show(batches, make_table)
            else:
                batches.extend(self.batches_with_progress())
        except OSError:
            # The output broke: whoever asked for a file did not ask for the text alone.
            self._save_batches(batches)
            raise
        saved = self._save_batches(batches)
        self.check_read()
        self.summarize(saved)

    def _show(self, kept: list[Batch], make_table: Callable[[Trace], Lines] | None) -> None:
        """Print events as they come, and keep them if they are to be saved."""
        import dataclasses  # noqa: PLC0415  # as above

        from rtrace.cli import event_lines  # noqa: PLC0415  # imports numpy, which is not needed to attach

        empty = self.trace([])
        writer = event_lines.choose(self._arguments, empty, make_table)
        print(writer.heading(), end="", flush=True)
        for batch in self._batches():
            if self._arguments.output is not None:
                kept.append(batch)
            if len(batch):
                print(writer.lines(dataclasses.replace(empty, records=batch)), end="", flush=True)

    def _save_batches(self, batches: list[Batch]) -> str:
        """Save them, if they are to be; return what there is to say of it."""
        if self._arguments.output is None:
            return ""
        import dataclasses  # noqa: PLC0415  # as above

        self._end = min(self._end, time.monotonic())
        # Ends where its events were cut off, not where it was made.
        self._save(dataclasses.replace(self.trace(batches), duration=self.lasted))
        return f"; saved to {self._arguments.output}"

    def _save(self, trace: Trace) -> None:
        """Write a trace into the file that it is to be saved in, if there is one."""
        path = self._arguments.output
        if path is None:
            return
        if path.endswith(".csv"):
            trace.to_csv(path)
        else:
            trace.save(path)

    @property
    def lasted(self) -> float:
        """Seconds from the beginning to where events were cut off."""
        return self._end - self._started

    def trace(self, batches: list[Batch]) -> Trace:
        """Make a trace of batches, with what is known of the recording by now."""
        with warnings.catch_warnings():
            # Losses are told in our own words.
            warnings.simplefilter("ignore", LostEventsWarning)
            return self._recording.trace(batches)

    def batches_with_progress(self) -> Iterator[Batch]:
        """Yield events as they come, and tell somebody at a terminal how many there are."""
        progress = Progress(self._started, self._end, endless=True)
        try:
            for batch in self._batches():
                yield batch
                progress.show(f", {counted(self._events)}")
        finally:
            progress.clear()

    def _batches(self) -> Iterator[Batch]:
        """Yield what comes, or nothing for a moment, until the time is over, there are enough, or somebody stops it."""
        due = self._started + LOSSES
        self._ready_ns = time.monotonic_ns()
        while not (self._has_enough() or self._stop.has_reason()) and (left := self._end - time.monotonic()) > 0:
            yield self._cut(self._recording.read(min(LOOK, left)))
            if time.monotonic() >= due:
                due = time.monotonic() + LOSSES
                self._tell_losses()
        self._end = min(self._end, time.monotonic())
        # What was hit before the end may still be on its way; what was hit since then must not keep us here.
        while not (self._has_enough() or self._stop.unread) and len(batch := self._recording.read(0)):
            within = self._cut(batch)
            yield within
            if len(within) < len(batch):
                break

    def _has_enough(self) -> bool:
        return bool(self._events == self._arguments.count)

    def _cut(self, batch: Batch) -> Batch:
        """Put events in order, leave out those after the end and those too many, and count the rest."""
        stamps = batch["ts_ns"]
        if (stamps[1:] < stamps[:-1]).any():
            batch = batch[stamps.argsort(kind="stable")]
            stamps = batch["ts_ns"]
        if len(batch) and stamps[0] < self._ready_ns:
            batch = batch[(stamps >= self._ready_ns) | (batch["pid"] != os.getpid())]
        if self._end < math.inf:
            # Their clock is that of time.monotonic.
            batch = batch[: batch["ts_ns"].searchsorted(int(self._end * 1e9), side="right")]
        if self._arguments.count is not None:
            batch = batch[: self._arguments.count - self._events]
        self._events += len(batch)
        return batch

    def _tell_losses(self) -> None:
        """Say what was lost, if that has become more."""
        losses = self.losses()
        if sum(losses.values()) > self._told:
            self._told = sum(losses.values())
            tell(f"warning: {format_lost(losses)}")

    def losses(self) -> dict[str, int]:
        """Return what was lost by now, by cause."""
        return self._recording.losses()

    def check_read(self) -> None:
        """End as programs do whose output nobody reads, if that is so."""
        if self._stop.unread:
            raise BrokenPipeError

    def summarize(self, more: str = "") -> None:
        """Say how many there were, and how many were lost."""
        lasted = self.lasted
        rate = self._events / lasted if lasted > 0 else 0.0
        per_second = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"  # noqa: PLR2004  # three digits or more
        lost = format_lost(self.losses())
        tell(f"{counted(self._events)} in {lasted:.2f} s, {per_second} per second; {lost}{more}")


def counted(events: int) -> str:
    """Write a number of events."""
    return f"{events:,} event{'s' * (events != 1)}"


def format_lost(losses: Mapping[str, int]) -> str:
    """Say how many events were lost and why."""
    from rtrace.display import trace_cells  # noqa: PLC0415  # imports numpy, which is not needed to attach

    return trace_cells.format_lost(losses)
