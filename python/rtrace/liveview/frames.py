"""One frame: the state of a measurement at one time, ready to be drawn anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtrace.display import histogram_text, html_page, trace_text
from rtrace.display.histogram_html import histogram_parts
from rtrace.display.trace_html import events_table
from rtrace.display.wording import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtrace.histogram import Histogram
    from rtrace.trace import Trace


@dataclass(frozen=True, slots=True)
class Frame:
    """What one measurement has to show.

    Attributes
    ----------
    target
        What is measured.
    status
        How far it has come, in a line: time, number, rate.
    lost
        The line on losses; empty if there are none.
    histogram
        Of calls, or of the latencies of events; None if there are none.
    latest
        The newest events, or None where calls are counted.
    first_ns
        When the first event of all came, ns of CLOCK_MONOTONIC.
    """

    target: str
    status: str
    lost: str = ""
    histogram: Histogram | None = None
    latest: Trace | None = None
    first_ns: int = 0

    def text(self, width: int = 79) -> str:
        """Return it as lines of text, tables as wide as fits into `width` columns."""
        parts = [f"{printable(self.target)}: {self.status}"]
        if self.lost:
            parts.append(self.lost)
        if self.histogram is not None and self.histogram.total:
            parts += histogram_text.format_overview(self.histogram)
        if self.latest is not None and len(self.latest):
            parts += trace_text.format_latest(self.latest, self.first_ns, width)
        return "\n".join(parts)

    def html(self) -> list[str]:
        """Return it as parts of HTML; every text from outside is escaped."""
        title = f": {self.status}"
        if self.histogram is not None and self.histogram.total:
            # It brings the losses along.
            parts = histogram_parts(self.histogram, title)
        else:
            parts = [html_page.line(self.target, title)]
            if self.lost:
                parts.append(html_page.alert(self.lost))
        if self.latest is not None and len(self.latest):
            parts.append(events_table(self.latest, [slice(None)], self.first_ns))
        return parts


class Picture:
    """Frames of measurements that run side by side, as notebooks ask for them."""

    def __init__(self, frames: Sequence[Frame], note: str = "") -> None:
        self._frames = frames
        self._note = note

    def _repr_html_(self) -> str:
        parts = [part for frame in self._frames for part in frame.html()]
        return html_page.element([*parts, html_page.note(self._note)])

    def __repr__(self) -> str:
        """Return the text, for notebooks without HTML."""
        return "\n\n".join([*(frame.text() for frame in self._frames), *filter(None, [self._note])])
