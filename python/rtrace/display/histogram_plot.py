"""A histogram drawn with matplotlib."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from rtrace.display.wording import format_lost_of, format_time, noun, percentile_marks, used_slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]

    from rtrace.histogram import Histogram

_MOST_GROUPS = 5
_MOST_LABELS = 10


def plot_histogram(hist: Histogram, ax: Axes | None = None) -> Axes:
    """Draw `hist` on `ax`, or on a new figure, and return the axes.

    One bar per bucket from the first to the last in use, all of the same width since the scale is logarithmic. The
    buckets that contain p50, p90 and p99 are labelled; a split histogram is stacked, largest groups first.
    """
    if ax is None:
        ax = new_axes("histogram")
    slots = used_slots(hist)
    if slots:
        _bars(hist, slots, ax)
        label_buckets(hist, slots, ax)
        ax.set_ylabel(f"{noun(hist)}s")
        ax.locator_params(axis="y", integer=True)
        ax.yaxis.set_major_formatter("{x:,.0f}")
        _marks(hist, slots, ax)
    else:
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"no {noun(hist)}s were counted", transform=ax.transAxes, ha="center", va="center")
    title = f"{hist.target} latency: {hist.total:,} {noun(hist)}s" + f" ({hist.mechanism})" * bool(hist.mechanism)
    # Losses are part of the result, so they stand in the title where cropping does not take them away.
    ax.set_title(title + f"\n{format_lost_of(hist)}" * bool(hist.lost))
    return ax


def new_axes(what: str) -> Axes:
    """Return the axes of a new figure."""
    try:
        import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  # optional, slow
    except ImportError as error:
        msg = f"plot {what}: matplotlib is not installed (pip install matplotlib)"
        raise ImportError(msg, name="matplotlib") from error
    _, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    return ax


def _bars(hist: Histogram, slots: range, ax: Axes) -> None:
    parts = {str(key): part.counts for key, part in islice(hist.groups.items(), _MOST_GROUPS)} or {"": hist.counts}
    if len(hist.groups) > _MOST_GROUPS:
        rest = hist.counts - sum(parts.values(), np.zeros_like(hist.counts))
        parts[f"{len(hist.groups) - _MOST_GROUPS} more"] = rest
    bottom = np.zeros(len(slots))
    for label, counts in parts.items():
        heights = counts[slots.start : slots.stop].astype(np.float64)
        used = heights > 0
        # Dollar signs are escaped, since matplotlib takes what is between two of them for a formula.
        name = label.replace("$", r"\$")
        for bar in ax.bar(np.array(slots)[used], heights[used], 0.9, bottom[used], linewidth=1, label=name):
            # The edge keeps a single slow call visible beside thousands of fast ones.
            bar.set_edgecolor(bar.get_facecolor())
        bottom += heights
    if hist.groups:
        ax.legend(title=hist.by)


def label_buckets(hist: Histogram, slots: range, ax: Axes) -> None:
    """Label the edges of the buckets, not more of them than fit."""
    ticks = range(slots.start, slots.stop + 1, (len(slots) + 1) // _MOST_LABELS + 1)
    ax.set_xticks([slot - 0.5 for slot in ticks], [format_time(hist.edges[slot], hist.unit) for slot in ticks])
    # A lone bucket would fill the whole width and look like many.
    ax.set_xlim(slots.start - 0.7, max(slots.stop - 0.3, slots.start + 5.3))
    ax.set_xlabel(f"latency (log2 buckets of {hist.unit.replace('u', 'µ')})")


def _marks(hist: Histogram, slots: range, ax: Axes) -> None:
    marks = percentile_marks(hist, max(len(slots), 6) / 8)
    rows = max(mark.row for mark in marks) + 1
    # Room for the labels above the tallest bar.
    ax.set_ylim(0, int(hist.counts.max()) * (1.04 + 0.08 * rows))
    for slot, label, row in marks:
        # All of the bucket: where in it the percentile lies is not known.
        ax.axvspan(slot - 0.5, slot + 0.5, color="0.5", alpha=0.15, linewidth=0)
        ax.annotate(
            label, (slot, 1), (0, -4 - 14 * row), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="top", bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1},
        )  # fmt: skip
