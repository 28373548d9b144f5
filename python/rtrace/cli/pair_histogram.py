"""What ``latency`` and ``disksnoop`` share: histograms counted in the kernel in place of events."""

from __future__ import annotations

import argparse

from rtrace.cli import measure as measuring
from rtrace.cli.arguments import Parser, positive, span

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrace.shapes.pair_counting import TracepointLatency

# Longest text that histograms can be split by (GROUP_LEN of ebpf/common/src/group.rs).
MAX_TEXT = 16


def add_intervals(parser: Parser) -> None:
    """Add the interval and the number of histograms, as every command that prints them has."""
    parser.add_argument("interval", nargs="?", type=span, help="seconds between --histogram's (5)")
    parser.add_argument("histograms", nargs="?", type=positive, metavar="count", help="number of them (no end)")


def add_options(parser: Parser) -> None:
    """Add the options that ask for histograms."""
    from rtrace.shapes.latency_options import UNIT_NS  # noqa: PLC0415  # for measuring only

    add = parser.add_argument
    add("--histogram", action="store_true", help="print no events, but histograms counted in the kernel")
    add("--by", metavar="FIELD", help="one histogram for each value of this field, pid, tid, comm or cpu")
    add("--unit", choices=tuple(UNIT_NS), help=f"of the histogram: {', '.join(UNIT_NS)} (us)")


def check(parser: Parser, arguments: argparse.Namespace) -> None:
    """Refuse what makes no sense before anything is attached."""
    given = {
        "interval": arguments.interval,
        "--by": arguments.by,
        "--unit": arguments.unit,
    }
    of_events = {
        "-n/--count": arguments.count,
        "--csv": arguments.csv,
        "--wall": getattr(arguments, "wall", None),
        "--fields": getattr(arguments, "fields", None),
    }
    if arguments.histogram:
        for option in filter(of_events.get, of_events):
            parser.error(f"argument {option}: not allowed with argument --histogram")
        return
    for option in filter(given.get, given):
        parser.error(f"argument {option}: only with --histogram")


def measure(attach: Callable[..., TracepointLatency], arguments: argparse.Namespace, hint: str) -> int:
    """Print a histogram for each interval; return the exit status."""
    unit = arguments.unit or "us"
    return measuring.measure(
        lambda: attach(output="histogram", by=arguments.by, unit=unit, max_text=MAX_TEXT),
        argparse.Namespace(**{"verbose": False, **vars(arguments), "count": arguments.histograms}),
        hint,
    )
