"""``--live``: one picture of what is measured, brought up to date in place, where other runs print line after line."""

from __future__ import annotations

from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from rtrace.stop import Stop

# Seconds between two pictures.
INTERVAL = 0.5


def add_live(ways: argparse._MutuallyExclusiveGroup) -> None:
    """Add the option."""
    ways.add_argument("--live", action="store_true", help="draw in place, all so far, until Ctrl-C; in a pipe, the end")


def check_live(arguments: argparse.Namespace) -> None:
    """Refuse to count what is drawn as one whole."""
    if arguments.live and arguments.count is not None:
        message = "argument --live: not allowed with a count"
        raise CommandError(message, hint="-d SECONDS ends it, and so does Ctrl-C", exit_code=2)


def watch(measurement: Any, arguments: argparse.Namespace, stop: Stop) -> Any:
    """Draw until the time is over or somebody stops it; return all that was seen."""
    from rtrace.liveview.loop import live  # noqa: PLC0415  # takes long; events are kept in the meantime

    interval = getattr(arguments, "interval", None) or INTERVAL
    (result,) = live(measurement, interval=interval, duration=arguments.duration, stop=stop)
    return result
