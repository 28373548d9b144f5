"""Two histograms side by side, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtrace.display.histogram_plot import label_buckets, new_axes
from rtrace.display.wording import format_lost_of, format_range, noun, used_slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]

    from rtrace.histogram import Histogram

_WIDTH = 0.42


def plot_comparison(hist: Histogram, other: Histogram, ax: Axes | None, labels: tuple[str, str]) -> Axes:
    """Draw both on `ax`, or on a new figure, and return the axes.

    In percent of each one's calls, since one may have been measured longer; the second is hatched, so that they can be
    told apart without their colours.
    """
    if not isinstance(other, type(hist)):
        msg = f"compare histograms: {other!r} is none"
        raise TypeError(msg)
    if hist.unit != other.unit:
        msg = f"compare histograms: one is in {hist.unit}, the other in {other.unit}"
        raise ValueError(msg)
    if ax is None:
        ax = new_axes("comparison")
    used = [used_slots(part) for part in (hist, other) if part.total]
    if not used:
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"no {noun(hist)}s were counted", transform=ax.transAxes, ha="center", va="center")
        return ax
    slots = range(min(part.start for part in used), max(part.stop for part in used))
    for part, label, shift, hatch in zip((hist, other), labels, (-_WIDTH / 2, _WIDTH / 2), ("", "///"), strict=True):
        shares = part.counts[slots.start : slots.stop] * (100 / max(part.total, 1))
        ax.bar(
            np.array(slots) + shift, shares, _WIDTH, label=_name(part, label), hatch=hatch, edgecolor="white",
            linewidth=0,
        )  # fmt: skip
    label_buckets(hist, slots, ax)
    ax.set_ylabel(f"share of the {noun(hist)}s (%)")
    targets = dict.fromkeys((hist.target, other.target))
    lost = [f"{label}: {format_lost_of(part)}" for part, label in zip((hist, other), labels, strict=True) if part.lost]
    # Losses are part of the result, so they stand in the title where cropping does not take them away.
    ax.set_title("\n".join([f"latency of {' and '.join(targets)}", *lost]).replace("$", r"\$"))
    ax.legend()
    return ax


def _name(part: Histogram, label: str) -> str:
    calls = f"{label}: {part.total:,} {noun(part)}s"
    # Dollar signs are escaped, since matplotlib takes what is between two of them for a formula.
    return (calls + (f", p50 {format_range(*part.percentile(50), part.unit)}" if part.total else "")).replace(
        "$", r"\$"
    )
