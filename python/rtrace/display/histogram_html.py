"""A histogram as HTML for notebooks: the bars as inline SVG, the numbers in tables, losses in plain sight."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rtrace.display import html_page
from rtrace.display.histogram_svg import histogram_svg
from rtrace.display.wording import (
    MARKED_PERCENTILES,
    format_lost_of,
    format_range,
    format_time,
    noun,
    observed_rows,
    used_slots,
)

if TYPE_CHECKING:
    from rtrace.histogram import Histogram

_MOST_GROUPS = 10


def histogram_html(hist: Histogram) -> str:
    """Return `hist` as one HTML element; every text from outside is escaped."""
    return html_page.element(
        [
            *histogram_parts(hist),
            html_page.details("buckets", _buckets(hist)) if hist.total else "",
            html_page.details("how it was measured", _facts(hist)),
        ]
    )


def histogram_parts(hist: Histogram, title: str = "") -> list[str]:
    """Return what of a histogram is seen at once: its name, its losses, the bars, the percentiles."""
    how = f", by {hist.mechanism}" if hist.mechanism else ""
    lasted = f" in {hist.duration:.6g} s" if hist.duration else ""
    calls = f"{hist.total:,} {noun(hist)}{'s' * (hist.total != 1)}"
    parts = [html_page.line(hist.target, title or f" latency: {calls}{lasted}{how}")]
    if hist.lost:
        parts.append(html_page.alert(format_lost_of(hist)))
    if hist.total:
        parts += [histogram_svg(hist), _summary({"": hist}, noun(hist))]
    else:
        parts.append(f"<div>No {noun(hist)}s were counted.</div>")
    if hist.groups:
        parts.append(_groups(hist))
    return parts


def _summary(parts: dict[str, Histogram], what: str, by: str = "") -> str:
    heads = [by] * bool(by) + [f"{what}s", "mean", *(f"p{p}" for p in MARKED_PERCENTILES)]
    rows = []
    for key, part in parts.items():
        bounds = (format_range(*part.percentile(p), part.unit) for p in MARKED_PERCENTILES)
        rows.append([key] * bool(by) + [f"{part.total:,}", format_time(part.mean, part.unit), *bounds])
    return html_page.table(heads, rows, [False] * bool(by) + [True] * (2 + len(MARKED_PERCENTILES)))


def _groups(hist: Histogram) -> str:
    shown = {str(key): part for key, part in islice(hist.groups.items(), _MOST_GROUPS) if part.total}
    left = len(hist.groups) - len(shown)
    more = f"<div>and {left} more</div>" if left > 0 else ""
    return _summary(shown, noun(hist), by=hist.by or "group") + more


def _buckets(hist: Histogram) -> str:
    counts = hist.numbers
    total = hist.total
    rows = []
    seen = 0
    for slot in used_slots(hist):
        seen += counts[slot]
        low, high = hist.edges[slot : slot + 2]
        rows.append([f"{low:,.0f}", f"{high:,.0f}", f"{counts[slot]:,}", f"{counts[slot] / total:.2%}",
                     f"{seen / total:.2%}"])  # fmt: skip
    heads = [f"from ({hist.unit})", f"below ({hist.unit})", f"{noun(hist)}s", "share", "so far"]
    return html_page.table(heads, rows, [True] * len(heads))


def _facts(hist: Histogram) -> str:
    options = {name: value for name, value in hist.options.items() if value is not None}
    facts = {
        "tool": hist.tool,
        "mechanism": hist.mechanism,
        "boundary": hist.boundary,
        "host": hist.host,
        "kernel": hist.kernel,
        "started": hist.started.isoformat(" ", "seconds") if hist.started else "",
        "duration": f"{hist.duration:.6g} s",
        "losses": format_lost_of(hist),
        **observed_rows(hist.observed),
        "nested calls": f"{hist.nested:,}" if noun(hist) == "call" else "",
        **{f"option {name}": str(value) for name, value in options.items()},
    }
    return html_page.facts([name, value] for name, value in facts.items() if value)
