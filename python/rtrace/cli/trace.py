"""Show the events of a tracepoint as they come, with their fields.

One line for each event, until Ctrl-C, after a time (-d) or a number of events
(-n): when (seconds since the first one, or --wall), the thread that was
running and its process, the CPU, then the fields. Values are shown by name
where the kernel has names for them. A line on standard error at the end tells
how many there were, and how many were lost. What rtrace itself does while it
starts is left out.

--json and --csv print the numbers as they are, with text decoded; -o keeps all
of it for `rtrace report` and for rtrace.Trace.load, in memory until the end.

Filters are decided in the kernel. They compare fields, or pid, tid, cpu and
comm, by == != < <= > >= & (has one of these bits) !& and, for text, ~ (glob);
`and`, `or`, `not` and brackets combine them.

Examples
--------
rtrace trace sched:sched_process_exec
rtrace trace block:block_rq_issue --filter 'bytes >= 65536' -d 10
rtrace trace sched:sched_switch --fields next_comm,next_pid -n 20
rtrace trace syscalls:sys_enter_openat -p 181 --json | jq .flags
rtrace trace block:block_rq_issue -d 60 -o disk.npz
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import math
import os
import time
import warnings

from rtrace.cli.arguments import Parser, add_task_options, check_name, positive, span
from rtrace.cli.stop import Stop
from rtrace.cli.talk import Progress, check_output, tell
from rtrace.errors import CommandError, LostEventsWarning, RtraceError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.shapes.recording import Recording
    from rtrace.trace import Trace

    Batch = NDArray[np.void]

GREETING = "Tracing {}... Hit Ctrl-C to end."
FORMATS = (".npz", ".parquet", ".csv")
# Seconds after which a read looks whether there is reason to stop.
LOOK = 0.1
# Seconds between two looks at the losses.
LOSSES = 1.0


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("trace", "[options] CATEGORY:NAME", __doc__)
    add = parser.add_argument
    add("target", metavar="CATEGORY:NAME", help="the tracepoint; `rtrace list` lists them")
    add("-d", "--duration", type=span, metavar="SECONDS", help="end after so long")
    add("-n", "--count", type=positive, help="end after so many events")
    add("--fields", metavar="A,B", help="only these, of those that `rtrace format` lists")
    add("--filter", metavar="EXPR", help="only events that meet this: 'bytes >= 4096'")
    add_task_options(parser)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--wall", action="store_true", help="show the time of day")
    ways.add_argument("--json", action="store_true", help="print one JSON object per event and line")
    ways.add_argument("--csv", action="store_true", help="print comma-separated values below their names")
    ways.add_argument("-o", "--output", metavar="FILE", help=f"print nothing, save it: {', '.join(FORMATS)}")
    arguments = parser.parse_args(words)
    if arguments.output is not None:
        check_format(parser, arguments.output)
        check_output(arguments.output)

    with attach(parser, arguments) as recording, Stop(watch_output=arguments.output is None) as stop:
        tell(GREETING.format(arguments.target))
        run = Run(recording, arguments, stop)
        if arguments.output is None:
            run.show()
        else:
            run.save()
    return 0


def check_format(parser: Parser, path: str) -> None:
    """Refuse a file of a kind that cannot be written, before an hour is spent on what belongs there."""
    if not path.endswith(FORMATS):
        parser.error(f"argument -o/--output: {path!r} does not end in {', '.join(FORMATS)}")
    if path.endswith(".parquet"):
        import importlib.util  # noqa: PLC0415  # for this alone

        if importlib.util.find_spec("pyarrow") is None:
            message = f"save to `{path}`: pyarrow is not installed"
            raise CommandError(message, hint="pip install pyarrow, or save as .npz")


def attach(parser: Parser, arguments: argparse.Namespace) -> Recording:
    """Begin to record."""
    fields = None
    if arguments.fields is not None:
        fields = [name.strip() for name in arguments.fields.split(",")]
        if not all(fields):
            parser.error(f"argument --fields: {arguments.fields!r} is not a list of names like a,b")
    check_name(arguments.target)
    from rtrace.shapes.tracepoint_events import tracepoint_events  # noqa: PLC0415  # not for a wrong command line

    options = {name: getattr(arguments, name) for name in ("filter", "pid", "tid", "cgroup")}
    try:
        recording: Recording = tracepoint_events(arguments.target, fields=fields, tool="trace", **options)
    except (ValueError, TypeError) as error:
        if isinstance(error, RtraceError):
            raise
        hint = f"`rtrace format {arguments.target}` lists its fields"
        raise CommandError(str(error), hint=hint, exit_code=2) from error
    return recording


class Run:
    """One recording from its first event to its last."""

    def __init__(self, recording: Recording, arguments: argparse.Namespace, stop: Stop) -> None:
        self._recording = recording
        self._arguments = arguments
        self._stop = stop
        self._started = time.monotonic()
        self._end = math.inf if arguments.duration is None else self._started + arguments.duration
        self._events = 0
        self._told = 0
        # From when on what this process itself does counts as well: its imports are nobody's business.
        self._ready_ns = 0

    def show(self) -> None:
        """Print events as they come."""
        import dataclasses  # noqa: PLC0415  # takes long, as the next: now events are kept in the meantime

        from rtrace.cli import event_lines  # noqa: PLC0415

        empty = self._trace([])
        writer = event_lines.choose(self._arguments, empty)
        print(writer.heading(), end="", flush=True)
        for batch in self._batches():
            if len(batch):
                print(writer.lines(dataclasses.replace(empty, records=batch)), end="", flush=True)
        if self._stop.unread:
            raise BrokenPipeError
        self._summarize()

    def save(self) -> None:
        """Keep events, and write them into a file at the end."""
        import dataclasses  # noqa: PLC0415  # takes long, as the next: now events are kept in the meantime

        import rtrace.trace  # noqa: F401, PLC0415

        progress = Progress(self._started, self._end, endless=True)
        batches = []
        try:
            for batch in self._batches():
                batches.append(batch)
                progress.show(f", {counted(self._events)}")
        finally:
            progress.clear()
        # Ends where its events were cut off, not where it was made.
        trace = dataclasses.replace(self._trace(batches), duration=self._end - self._started)
        path = self._arguments.output
        if path.endswith(".csv"):
            trace.to_csv(path)
        else:
            trace.save(path)
        self._summarize(f"; saved to {path}")

    def _trace(self, batches: list[Batch]) -> Trace:
        with warnings.catch_warnings():
            # Losses are told in our own words.
            warnings.simplefilter("ignore", LostEventsWarning)
            return self._recording.trace(batches)

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
        losses = self._recording.losses()
        if sum(losses.values()) > self._told:
            self._told = sum(losses.values())
            tell(f"warning: {format_lost(losses)}")

    def _summarize(self, more: str = "") -> None:
        """Say how many there were, and how many were lost."""
        lasted = self._end - self._started
        rate = self._events / lasted if lasted > 0 else 0.0
        per_second = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"  # noqa: PLR2004  # three digits or more
        lost = format_lost(self._recording.losses())
        tell(f"{counted(self._events)} in {lasted:.2f} s, {per_second} per second; {lost}{more}")


def counted(events: int) -> str:
    """Write a number of events."""
    return f"{events:,} event{'s' * (events != 1)}"


def format_lost(losses: Mapping[str, int]) -> str:
    """Say how many events were lost and why."""
    from rtrace.display import trace_cells  # noqa: PLC0415  # imports numpy, which is not needed to attach

    return trace_cells.format_lost(losses)
