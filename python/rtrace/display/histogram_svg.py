"""The bars of a histogram as one inline SVG element."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from rtrace.display.buckets import is_linear
from rtrace.display.wording import format_range, format_time, noun, percentile_marks, used_slots

if TYPE_CHECKING:
    from rtrace.display.buckets import Buckets
    from rtrace.display.wording import Mark

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 32, 26, 40
_WIDEST_BAR = 64
_MOST_LABELS = 10
_MARK_REACH, _MARK_ROW = 64, 14
# For pages that lose the style sheet; readable on white and on black alike.
_FILL = "#4c8dd6"


def histogram_svg(hist: Buckets) -> str:
    """Return the bars from the first to the last bucket in use, with p50, p90 and p99 marked.

    A percentile is known to lie in its bucket and no better, so the mark spans the bucket and its tooltip gives the
    bounds. Text and lines take ``currentColor``. Each bar has a tooltip with its range, count and share.
    """
    slots = used_slots(hist)
    counts = hist.numbers
    floor = _HEIGHT - _BOTTOM
    step = min((_WIDTH - _LEFT - _RIGHT) / len(slots), _WIDEST_BAR)
    right = _LEFT + step * len(slots)
    marks = percentile_marks(hist, _MARK_REACH / step)
    top = _TOP + _MARK_ROW * max(mark.row for mark in marks)
    scale = (floor - top) / max(counts)

    def x(slot: int) -> float:
        return _LEFT + step * (slot - slots.start)

    shapes = [_grid(max(counts), scale, floor, right)]
    for slot in slots:
        # At least two pixels: a single slow call is what people look for.
        height = max(counts[slot] * scale, 2) if counts[slot] else 0
        low, high = hist.edges[slot : slot + 2].tolist()
        tip = f"{format_range(low, high, hist.unit)}: {counts[slot]:,} {noun(hist)}s, {counts[slot] / hist.total:.2%}"
        shapes.append(
            f'<rect x="{x(slot) + 1:.1f}" y="{floor - height:.1f}" width="{step - 2:.1f}" height="{height:.1f}" '
            f'class="bar" fill="{_FILL}"><title>{escape(tip)}</title></rect>'
        )
    shapes += [_mark(hist, mark, x(mark.slot), step, floor) for mark in marks]
    shapes.append(_axis(hist, slots, step, floor))
    title = escape(f"{_what(hist)} of {hist.target}, {hist.total:,} {noun(hist)}s, {_kind(hist)}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-size="12" fill="currentColor" '
        f'font-family="system-ui, sans-serif" aria-label="{title}">{"".join(shapes)}</svg>'
    )


def _mark(hist: Buckets, mark: Mark, left: float, step: float, floor: float) -> str:
    """Draw a bracket over the whole bucket of a percentile, and dotted lines down its edges."""
    y = _TOP + _MARK_ROW * mark.row
    low, high = hist.edges[mark.slot : mark.slot + 2].tolist()
    tip = f"{mark.label.replace(' ', ', ')}: {format_range(low, high, hist.unit)}"
    return (
        f'<g><title>{escape(tip)}</title><path d="M{left:.1f} {y}v-5h{step:.1f}v5" fill="none" stroke="currentColor" '
        f'stroke-width="1.5"/><path d="M{left:.1f} {y}V{floor}M{left + step:.1f} {y}V{floor}" stroke="currentColor" '
        f'stroke-dasharray="1 4" opacity=".7"/><text x="{left + step / 2:.1f}" y="{y - 9}" text-anchor="middle" '
        f'font-weight="600">{escape(mark.label)}</text></g>'
    )


def _grid(most: int, scale: float, floor: float, right: float) -> str:
    """Draw horizontal lines at round counts, at most five."""
    magnitude = 10 ** max(0, math.floor(math.log10(most / 4)) if most > 4 else 0)  # noqa: PLR2004  # lines
    interval = next(magnitude * factor for factor in (1, 2, 5, 10) if most / (magnitude * factor) <= 5)  # noqa: PLR2004
    lines = []
    for count in range(interval, most + 1, interval):
        y = floor - count * scale
        lines.append(
            f'<line x1="{_LEFT}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".2"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(count)}</text>'
        )
    return "".join(lines)


def _axis(hist: Buckets, slots: range, step: float, floor: float) -> str:
    """Draw the base line and label the edges of the buckets, not more of them than fit."""
    right = _LEFT + step * len(slots)
    parts = [f'<line x1="{_LEFT}" x2="{right:.1f}" y1="{floor}" y2="{floor}" stroke="currentColor"/>']
    # A bucket of one value is labelled in its middle, another one at its edges.
    linear = is_linear(hist)
    for place in range(0, len(slots) + (not linear), (len(slots) + 1) // _MOST_LABELS + 1):
        x = _LEFT + step * (place + linear / 2)
        label = format_time(hist.edges[slots.start + place], hist.unit)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 5}" stroke="currentColor"/>'
            f'<text x="{x:.1f}" y="{floor + 19}" text-anchor="middle">{escape(label)}</text>'
        )
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{floor + 35}" text-anchor="middle" opacity=".8">{_what(hist)}, {_kind(hist)}</text>'
        f'<text x="14" y="{(_TOP + floor) / 2:.0f}" text-anchor="middle" opacity=".8" '
        f'transform="rotate(-90 14 {(_TOP + floor) / 2:.0f})">{noun(hist)}s</text>'
    )
    return "".join(parts)


def _what(hist: Buckets) -> str:
    return "latency" if hist.unit else "value"


def _kind(hist: Buckets) -> str:
    return "a bucket each" if is_linear(hist) else "log2 buckets"


def _short(count: int) -> str:
    """Write a round count in few characters."""
    for size, suffix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:g} {suffix}"
    return str(count)
