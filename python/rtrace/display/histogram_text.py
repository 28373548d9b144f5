"""A histogram as text: bcc's layout with a footer on losses, and its name in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrace.display.log2_text import format_log2, format_section
from rtrace.display.wording import format_losses

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
        texts.append(format_losses(hist.losses))
    return "\n".join(text for text in texts if text)


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
    return format_log2([0, *hist.counts.tolist()], _BCC_HEADINGS[hist.unit])
