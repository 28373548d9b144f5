"""A histogram as HTML for notebooks: the bars as inline SVG, the numbers in tables, losses in plain sight.

Everything is inline and takes the page's own text colour, so it works in light and dark themes and in a saved page.
"""

from __future__ import annotations

from html import escape
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING

from rtrace.display.histogram_svg import histogram_svg
from rtrace.display.wording import MARKED_PERCENTILES, format_losses, format_range, format_time, used_slots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtrace.histogram import Histogram

_MOST_GROUPS = 10

# The class keeps it from touching anything else on the page; the notebook's own table rules are overridden.
_STYLE = """<style>
.rtrace-histogram { color: inherit; font-size: 13px; line-height: 1.45; max-width: 720px; }
.rtrace-histogram svg { display: block; width: 100%; height: auto; margin: 4px 0; }
.rtrace-histogram table { border-collapse: collapse; margin: 6px 0; color: inherit; }
.rtrace-histogram th, .rtrace-histogram td { background: none; color: inherit; padding: 2px 14px 2px 0;
  text-align: right; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35);
  font-variant-numeric: tabular-nums; }
.rtrace-histogram th { font-weight: 600; opacity: .75; }
.rtrace-histogram .text { text-align: left; overflow-wrap: anywhere; }
.rtrace-histogram .lost { border-left: 4px solid #d9822b; background: rgba(217, 130, 43, .15); padding: 4px 10px; }
.rtrace-histogram summary { cursor: pointer; }
</style>"""


def histogram_html(hist: Histogram) -> str:
    """Return `hist` as one HTML element; every text from outside is escaped."""
    how = f" by {escape(hist.mechanism)}" if hist.mechanism else ""
    parts = [
        f'<div class="rtrace-histogram">{_STYLE}',
        f"<div><strong>{escape(hist.target)}</strong> latency: {hist.total:,} calls{how}</div>",
    ]
    if hist.lost:
        parts.append(f'<div class="lost" role="alert">{escape(format_losses(hist.losses))}</div>')
    if hist.total:
        parts += [histogram_svg(hist), _summary({"": hist})]
    else:
        parts.append("<div>No calls were counted.</div>")
    if hist.groups:
        parts.append(_groups(hist))
    parts += [_details("buckets", _buckets(hist)) if hist.total else "", _details("how it was measured", _facts(hist))]
    return "\n".join([*parts, "</div>"])


def _summary(parts: dict[str, Histogram], by: str = "") -> str:
    heads = [by] * bool(by) + ["calls", "mean", *(f"p{p}" for p in MARKED_PERCENTILES)]
    rows = []
    for key, part in parts.items():
        bounds = (format_range(*part.percentile(p), part.unit) for p in MARKED_PERCENTILES)
        rows.append([key] * bool(by) + [f"{part.total:,}", format_time(part.mean, part.unit), *bounds])
    return _table(heads, rows, text_columns=int(bool(by)))


def _groups(hist: Histogram) -> str:
    shown = {str(key): part for key, part in islice(hist.groups.items(), _MOST_GROUPS) if part.total}
    left = len(hist.groups) - len(shown)
    more = f"<div>and {left} more</div>" if left > 0 else ""
    return _summary(shown, by=hist.by or "group") + more


def _buckets(hist: Histogram) -> str:
    counts = hist.counts.tolist()
    total = hist.total
    rows = []
    seen = 0
    for slot in used_slots(hist):
        seen += counts[slot]
        low, high = hist.edges[slot : slot + 2]
        rows.append([f"{low:,.0f}", f"{high:,.0f}", f"{counts[slot]:,}", f"{counts[slot] / total:.2%}",
                     f"{seen / total:.2%}"])  # fmt: skip
    return _table([f"from ({hist.unit})", f"below ({hist.unit})", "calls", "share", "so far"], rows)


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
        "losses": format_losses(hist.losses),
        "nested calls": f"{hist.nested:,}",
        **{f"option {name}": str(value) for name, value in options.items()},
    }
    return _table([], [[name, value] for name, value in facts.items() if value], text_columns=2)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, text_columns: int = 0) -> str:
    def cells(tag: str, texts: Iterable[str]) -> str:
        classes = chain([' class="text"'] * text_columns, repeat(""))
        return "".join(f"<{tag}{css}>{escape(text)}</{tag}>" for css, text in zip(classes, texts, strict=False))

    head = cells("th", heads)
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return "<table>" + (f"<thead><tr>{head}</tr></thead>" if head else "") + f"<tbody>{body}</tbody></table>"


def _details(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"
