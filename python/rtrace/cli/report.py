"""Print histograms that were saved with -o.

Works anywhere: without privilege, on another machine.

Examples
--------
rtrace vfsreadlat -d 10 -o reads.npz
rtrace report reads.npz
rtrace report --json monday.npz tuesday.npz
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import textwrap

from rtrace.cli.arguments import Parser

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace.histogram import Histogram


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("report", "[--json] FILE ...", __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="what `rtrace vfsreadlat -o FILE` saved")
    parser.add_argument("--json", action="store_true", help="print one JSON object per file and line")
    arguments = parser.parse_args(words)
    from rtrace.histogram import Histogram  # noqa: PLC0415  # numpy is not for a command line that is wrong

    for number, file in enumerate(arguments.files):
        histogram = Histogram.load(file)
        if arguments.json:
            print(histogram.to_json())
            continue
        if number:
            print()
        for line in facts(file, histogram):
            print(textwrap.fill(line, 79, subsequent_indent="  ", break_long_words=False))
        histogram.print()
    return 0


def facts(file: str, histogram: Histogram) -> Iterator[str]:
    """Yield what is known of how a histogram was made."""
    yield f"{file}: {histogram.target} by {histogram.mechanism or 'an unknown mechanism'}, {histogram.total} calls"
    if histogram.boundary:
        yield f"timed: {histogram.boundary}"
    where = " with Linux ".join(filter(None, (histogram.host, histogram.kernel)))
    when = f"{histogram.started:%Y-%m-%d %H:%M:%S} UTC" if histogram.started else ""
    yield f"measured: {', '.join(filter(None, (where, when, f'{histogram.duration:.3g} s')))}"
    if histogram.options:
        yield f"only: {', '.join(f'{name}={value}' for name, value in histogram.options.items())}"
