"""A terminal drawn on with rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rtrace.display.histogram_text import group_rows
from rtrace.display.trace_text import latest_columns
from rtrace.display.wording import format_range, noun, percentile_marks, printable, used_slots
from rtrace.liveview.screens import HOW_TO_STOP

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from typing import Self

    from rich.console import RenderableType

    from rtrace.histogram import Histogram
    from rtrace.liveview.frames import Frame
    from rtrace.trace import Trace

_BAR = 32
_MOST_GROUPS = 10
# What a table of rich has between its columns, and at both ends.
_GAP = 3
_EDGE = 4
# Eighths of a character, so that a lone slow call still shows.
_PARTS = " ▏▎▍▌▋▊▉█"


class RichScreen:
    """The terminal that standard output is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        # Drawn when there is something new, not by a thread of rich's own.
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Take over the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: types.TracebackType | None
    ) -> None:
        """Leave what was drawn last."""
        self._live.stop()

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        """Draw these in place of what was drawn before."""
        if ended:
            # All of it from here on, however long.
            self._live.vertical_overflow = "visible"
        parts: list[RenderableType] = [part for frame in frames for part in render(frame, self._console.width)]
        self._live.update(Group(*parts, *[] if ended else [Text(HOW_TO_STOP["terminal"], "dim")]), refresh=True)


def render(frame: Frame, width: int) -> list[RenderableType]:
    """Return what rich draws for a frame on a terminal of that width."""
    parts: list[RenderableType] = [Text.assemble((printable(frame.target), "bold"), f": {frame.status}")]
    if frame.lost:
        parts.append(Text(frame.lost, "bold yellow"))
    if frame.histogram is not None and frame.histogram.total:
        parts.append(_buckets(frame.histogram))
        if frame.histogram.groups:
            parts.append(_groups(frame.histogram))
    if frame.latest is not None and len(frame.latest):
        parts.append(_events(frame.latest, frame.first_ns, width))
    return parts


def _buckets(hist: Histogram) -> Table:
    marks = {mark.slot: mark.label for mark in percentile_marks(hist, 0)}
    counts = hist.numbers
    most, total = max(counts), hist.total
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("latency", f"{noun(hist)}s", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for slot in used_slots(hist):
        low, high = hist.edges[slot : slot + 2].tolist()
        bar = Text(_bar(counts[slot], most), "blue")
        mark = Text(marks.get(slot, ""), "bold")
        table.add_row(
            format_range(low, high, hist.unit), f"{counts[slot]:,}", f"{counts[slot] / total:.1%}", bar, mark
        )  # fmt: skip
    return table


def _bar(count: int, most: int) -> str:
    eighths = -(-count * _BAR * 8 // most)
    full, rest = divmod(eighths, 8)
    return "█" * full + _PARTS[rest].strip()


def _groups(hist: Histogram) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(hist.by or "group")
    for heading in (f"{noun(hist)}s", "p50", "p99"):
        table.add_column(heading, justify="right")
    for cells in group_rows(hist, _MOST_GROUPS):
        table.add_row(*map(Text, cells))
    left = len(hist.groups) - _MOST_GROUPS
    if left > 0:
        table.add_row(Text(f"and {left} more"))
    return table


def _events(trace: Trace, first_ns: int, width: int) -> Table:
    # Columns that do not fit are left out: a number that is cut looks like another one.
    columns = latest_columns(trace, first_ns, width - _EDGE, _GAP)
    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        # As text: a name with brackets is no markup.
        table.add_row(*map(Text, cells))
    return table
