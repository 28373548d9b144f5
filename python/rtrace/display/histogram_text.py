"""A histogram as text: bcc's layout with a footer on losses, and its name in one line."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rtrace.display.log2_text import format_log2, format_section
from rtrace.display.wording import format_lost_of, format_range, noun, printable

if TYPE_CHECKING:
    from rtrace.histogram import Histogram

_BCC_HEADINGS = {"ns": "nsecs", "us": "usecs", "ms": "msecs", "s": "secs"}


def format_histogram(hist: Histogram, *, footer: bool = True) -> str:
    """Return what ``Histogram.print`` prints, without the newline at the end; empty if there is nothing to say."""
    texts = []
    if hist.by is None:
        texts.append(_format_buckets(hist))
    for key, group in hist.groups.items():
        texts += [format_section(hist.by or "", key), _format_buckets(group)]
    if footer and hist.lost:
        texts.append(format_lost_of(hist))
    return "\n".join(text for text in texts if text)


def format_overview(hist: Histogram, most_groups: int = 10) -> list[str]:
    """Return the lines of the whole, and for a split one a table of its largest groups."""
    lines = _format_buckets(hist).splitlines()
    if hist.groups:
        cells = [[hist.by or "", f"{noun(hist)}s", "p50", "p99"], *group_rows(hist, most_groups)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for key, *numbers in cells:
            row = [key.ljust(widths[0])] + [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
            lines.append("  ".join(row))
        if len(hist.groups) > most_groups:
            lines.append(f"and {len(hist.groups) - most_groups} more")
    return lines


def group_rows(hist: Histogram, most: int) -> list[list[str]]:
    """Return for each of the largest groups its key, its calls, and where its p50 and p99 lie."""
    rows = []
    for key, part in islice(hist.groups.items(), most):
        bounds = [format_range(*part.percentile(p), part.unit) for p in (50, 99)]
        rows.append([printable(str(key)), f"{part.total:,}", *bounds])
    return rows


def name_histogram(hist: Histogram) -> str:
    """Return what ``repr(hist)`` returns."""
    words = [hist.target, f"mechanism={hist.mechanism}", f"total={hist.total}"]
    if hist.total:
        low, high = hist.percentile(50)
        words.append(f"p50={low}..{high} {hist.unit}")
    if hist.by is not None:
        words.append(f"by={hist.by} groups={len(hist.groups)}")
    return f"<Histogram {' '.join(words)} lost={hist.lost}>"


def _format_buckets(hist: Histogram) -> str:
    # bcc numbers the buckets from 1.
    return format_log2([0, *hist.numbers], _BCC_HEADINGS[hist.unit])
