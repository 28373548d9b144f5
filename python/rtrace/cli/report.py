"""Print a histogram or the events that were saved with -o.

It reads .npz and .parquet; .csv is for other programs. Of a trace it shows the
first and the last events, in order of time; --json and --csv print all of
them, and --histogram counts a column of times. Works anywhere: without
privilege, on another machine.

Examples
--------
rtrace vfsreadlat -d 10 -o reads.npz
rtrace report reads.npz
rtrace report --json monday.npz tuesday.npz
rtrace report disk.npz --csv > disk.csv
rtrace report disk.npz --histogram latency_ns --by comm
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import textwrap

from rtrace.cli.arguments import Parser
from rtrace.cli.output import REPORTED
from rtrace.cli.talk import tell
from rtrace.errors import CommandError, TraceFormatError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from rtrace.histogram import Histogram
    from rtrace.trace import Trace


# Events that are turned into text at once.
BATCH = 1 << 16


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("report", "[options] FILE ...", __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="what a command with -o FILE saved: .npz, .parquet")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--json", action="store_true", help="print one JSON object per histogram or event and line")
    ways.add_argument("--csv", action="store_true", help="print the events as comma-separated values")
    parser.add_argument("--histogram", metavar="COLUMN", help="count a trace's column of times")
    parser.add_argument("--by", metavar="COLUMN", help="one such histogram for each value of this column")
    arguments = parser.parse_args(words)
    if arguments.by is not None and arguments.histogram is None:
        parser.error("argument --by: only with --histogram")
    if arguments.csv and arguments.histogram is not None:
        parser.error("argument --csv: not allowed with argument --histogram")
    from rtrace.histogram import Histogram  # noqa: PLC0415  # numpy is not for a command line that is wrong

    for number, file in enumerate(arguments.files):
        found = load(file)
        if number and not (arguments.json or arguments.csv):
            print()
        if arguments.histogram is not None:
            found = count(file, only_trace(file, found), arguments)
        elif arguments.csv:
            found = only_trace(file, found)
        if isinstance(found, Histogram):
            print_histogram(file, found, json=arguments.json)
        else:
            print_trace(file, found, arguments)
    return 0


def load(file: str) -> Histogram | Trace:
    """Return what a file holds, of whichever kind it is."""
    from rtrace.histogram import Histogram  # noqa: PLC0415  # as above
    from rtrace.trace import Trace  # noqa: PLC0415

    try:
        return Trace.load(file)
    except TraceFormatError as error:
        # Names the class that reads it, if the file says what it is.
        if "rtrace.Histogram" not in (error.hint or ""):
            raise CommandError(str(error), hint=error.hint or REPORTED) from error
        return Histogram.load(file)
    except ImportError as error:
        raise CommandError(str(error)) from error


def only_trace(file: str, found: Histogram | Trace) -> Trace:
    """Return a trace as it is; refuse a histogram, of which neither rows nor columns are known."""
    from rtrace.trace import Trace  # noqa: PLC0415  # as above

    if not isinstance(found, Trace):
        message = f"report `{file}`: it holds a histogram; --csv and --histogram need a trace"
        raise CommandError(message)
    return found


def count(file: str, trace: Trace, arguments: argparse.Namespace) -> Histogram:
    """Count a trace's column of times."""
    try:
        return trace.histogram(arguments.histogram, by=arguments.by)
    except (KeyError, ValueError) as error:
        # A KeyError's text is its argument in quotes.
        message = f"report `{file}`: {error.args[0]}"
        raise CommandError(message, exit_code=2) from error


def print_histogram(file: str, histogram: Histogram, *, json: bool) -> None:
    """Print a histogram and how it was made."""
    if json:
        print(histogram.to_json())
        return
    show(facts(file, histogram))
    histogram.print()


def print_trace(file: str, trace: Trace, arguments: argparse.Namespace) -> None:
    """Print a trace: some events and how they were recorded, or all events."""
    from rtrace.cli import event_lines, event_report  # noqa: PLC0415  # not every file is a trace

    if not (arguments.json or arguments.csv):
        show(event_report.facts(file, trace))
        print("\n".join(event_report.table(trace)))
        return
    writer = event_lines.choose(arguments, trace[:0])
    print(writer.heading(), end="")
    for start in range(0, len(trace), BATCH):
        print(writer.lines(trace[start : start + BATCH]), end="")
    if trace.lost:
        tell(f"warning: {file}: {event_report.format_lost(trace.losses)}")


def show(remarks: Iterable[str]) -> None:
    """Print lines of facts so that they fit."""
    for line in remarks:
        print(textwrap.fill(line, 79, subsequent_indent="  ", break_long_words=False))


def facts(file: str, histogram: Histogram) -> Iterator[str]:
    """Yield what is known of how a histogram was made."""
    from rtrace.display.wording import circumstances, noun  # noqa: PLC0415  # as above

    counted = f"{histogram.total} {noun(histogram)}{'s' * (histogram.total != 1)}"
    yield f"{file}: {histogram.target} by {histogram.mechanism or 'an unknown mechanism'}, {counted}"
    if histogram.boundary:
        yield f"timed: {histogram.boundary}"
    yield from circumstances(histogram)
