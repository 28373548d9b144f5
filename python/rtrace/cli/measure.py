"""What every command that prints histograms shares: the options, and one histogram for each interval."""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import math
import time

from rtrace.cli.arguments import add_task_options, positive, seconds, span
from rtrace.cli.output import OF_HISTOGRAM, check_output
from rtrace.cli.talk import Progress, is_terminal, plain_warnings, say, tell
from rtrace.cli.watch import add_live, check_live, watch
from rtrace.errors import CommandError, RtraceError
from rtrace.stop import Stop

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rtrace.histogram import Histogram
    from rtrace.shapes.counting import Counting
    from rtrace.shapes.function_latency import FunctionLatency

INTERVAL = 5.0
GREETING = "Tracing... Hit Ctrl-C to end."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every measurement of a function's latencies."""
    from rtrace.shapes.latency_options import MECHANISMS, UNIT_NS  # noqa: PLC0415  # for measuring only
    from rtrace.shapes.splits import TASK_GROUPS  # noqa: PLC0415

    mechanisms, splits = ("auto", *MECHANISMS), tuple(TASK_GROUPS)
    add = parser.add_argument
    hows = ", ".join(mechanisms)
    ways = parser.add_mutually_exclusive_group()
    add("interval", nargs="?", type=span, help="seconds between histograms (5)")
    add("count", nargs="?", type=positive, help="number of histograms (no end)")
    add("-d", "--duration", type=span, metavar="SECONDS", help="measure so long in all, then end")
    add_task_options(parser)
    add("--min-latency", type=seconds, metavar="TIME", help="only calls at least so long: 0.001, 1ms, 10us")
    add("--by", choices=splits, metavar="WHAT", help=f"one histogram for each {' or '.join(splits)}")
    add("--unit", choices=tuple(UNIT_NS), default="us", help=f"of the histogram: {', '.join(UNIT_NS)} (us)")
    add("--mechanism", choices=mechanisms, default="auto", metavar="HOW", help=f"{hows} (the first that works)")
    add("-o", "--output", metavar="FILE", help="also save all of it, as .npz, for `rtrace report`")
    add_live(ways)
    ways.add_argument("--json", action="store_true", help="print one JSON object per histogram and line")
    add("-v", "--verbose", action="store_true", help="say what exactly is timed, and why so")


def measure_function(attach: Callable[..., FunctionLatency], arguments: argparse.Namespace) -> int:
    """Attach with what `add_options` added, and measure; return the exit status."""
    names = ("pid", "tid", "cgroup", "min_latency", "by", "unit", "mechanism")
    return measure(lambda: attach(**{name: getattr(arguments, name) for name in names}), arguments)


def measure(attach: Callable[[], Counting], arguments: argparse.Namespace, hint: str | None = None) -> int:
    """Attach, print a histogram for each interval, detach; return the exit status.

    The hint is for those whose options make no sense.
    """
    check_output(arguments, OF_HISTOGRAM, prints=True)
    check_live(arguments)
    try:
        measurement = attach()
    except (ValueError, TypeError) as error:
        if isinstance(error, RtraceError):
            raise
        raise CommandError(str(error), hint=hint, exit_code=2) from error
    whole = None
    with measurement, Stop() as stop, plain_warnings():
        announce(measurement, arguments)
        try:
            if arguments.live:
                whole = watch(measurement, arguments, stop)
            else:
                for whole, part in histograms(measurement, arguments, stop):  # noqa: B007  # the file is to hold the last
                    show(part, json=arguments.json)
        finally:
            # Also when the output broke: whoever asked for a file did not ask for the text alone.
            if arguments.output is not None and whole is not None:
                whole.save(arguments.output)
    return 0


def histograms(
    measurement: Counting, arguments: argparse.Namespace, stop: Stop
) -> Iterator[tuple[Histogram, Histogram]]:
    """Yield, at the end of each interval, the histogram of all so far and that of the interval."""
    due = time.monotonic()
    end = math.inf if arguments.duration is None else due + arguments.duration
    interval = arguments.interval or (INTERVAL if arguments.duration is None else math.inf)
    progress = Progress(due, end)
    # Takes a while, so it is imported now that nothing waits for it: the first snapshot needs it.
    import rtrace.histogram  # noqa: F401, PLC0415

    before, made, stopped = None, 0, False
    while not stopped and due < end and made != arguments.count:
        # Of intervals that passed while the output was stuck, there is but one to show.
        missed = max(0, (time.monotonic() - due) // interval)
        due = min(due + interval * (1 + missed), end)
        stopped = progress.wait(stop, due)
        whole = measurement.snapshot()
        yield whole, whole if before is None else whole - before
        before = whole
        made += 1


def show(histogram: Histogram, *, json: bool) -> None:
    """Print a histogram now, also into a pipe."""
    if json:
        print(histogram.to_json(), flush=True)
        return
    print()
    histogram.print()
    print(end="", flush=True)


def announce(measurement: Counting, arguments: argparse.Namespace) -> None:
    """Say that tracing has begun, and what is timed where that is not what the user may expect."""
    terminal = is_terminal()
    if arguments.verbose or (measurement.refused and terminal):
        say(f"timed by {measurement.mechanism}: {measurement.boundary}")
    if arguments.verbose:
        for mechanism, error in measurement.refused.items():
            say(f"not by {mechanism}: {error}")
    if not (arguments.json or arguments.live):
        print(GREETING, flush=True)
    elif terminal or arguments.verbose:
        tell(GREETING)
