"""A trace as HTML for notebooks: its first and last events in a table, losses in plain sight.

Everything is inline and takes the page's own text colour, so it works in light and dark themes and in a saved page.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from rtrace.display.trace_cells import column_cells, format_lost, format_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rtrace.trace import Trace

_FIRST_ROWS, _LAST_ROWS = 10, 5

# The class keeps it from touching anything else on the page; the notebook's own table rules are overridden.
_STYLE = """<style>
.rtrace-trace { color: inherit; font-size: 13px; line-height: 1.45; }
.rtrace-trace .wide { overflow-x: auto; }
.rtrace-trace table { border-collapse: collapse; margin: 6px 0; color: inherit; font-size: inherit; }
.rtrace-trace tr { background: none; }
.rtrace-trace th, .rtrace-trace td { background: none; color: inherit; padding: 2px 14px 2px 0; text-align: left;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); font-variant-numeric: tabular-nums;
  white-space: pre; }
.rtrace-trace th { font-weight: 600; opacity: .75; }
.rtrace-trace .number { text-align: right; }
.rtrace-trace .facts td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.rtrace-trace .lost { border-left: 4px solid #d9822b; background: rgba(217, 130, 43, .15); padding: 4px 10px; }
.rtrace-trace .note { opacity: .75; }
.rtrace-trace summary { cursor: pointer; }
</style>"""


def trace_html(trace: Trace) -> str:
    """Return `trace` as one HTML element; every text from outside is escaped."""
    lasted = f" in {trace.duration:.6g} s, {trace.events_per_second:,.6g} per second" if trace.duration else ""
    parts = [
        f'<div class="rtrace-trace">{_STYLE}',
        f"<div><strong>{escape(trace.target)}</strong>: {_counted(len(trace))}{lasted}</div>",
    ]
    if trace.lost:
        parts.append(f'<div class="lost" role="alert">{escape(format_lost(trace.losses))}</div>')
    if len(trace):
        parts += [_events(trace), f'<div class="note">{escape(format_origin(trace))}</div>']
    else:
        parts.append("<div>No events were recorded.</div>")
    parts += [_details("columns", _columns(trace)), _details("how it was recorded", _facts(trace))]
    return "\n".join([*parts, "</div>"])


def _events(trace: Trace) -> str:
    """Return the first and last rows, with a line on how many lie between."""
    total = len(trace)
    between = total - _FIRST_ROWS - _LAST_ROWS
    # A line that stands for a single row would save nothing.
    slices = [slice(total)] if between <= 1 else [slice(_FIRST_ROWS), slice(total - _LAST_ROWS, total)]
    heads = ""
    bodies = []
    for rows in slices:
        columns = [column_cells(trace, name, rows) for name in trace.fields]
        right = [column.right for column in columns]
        heads = _row("th", [column.heading for column in columns], right)
        bodies.append("".join(_row("td", cells, right) for cells in zip(*(c.cells for c in columns), strict=True)))
    more = f'<tr><td colspan="{len(trace.fields)}">… {between:,} more …</td></tr>'
    return f'<div class="wide"><table><thead>{heads}</thead><tbody>{more.join(bodies)}</tbody></table></div>'


def _columns(trace: Trace) -> str:
    rows = [[name, _type(trace[name]), item.unit, item.description] for name, item in trace.fields.items()]
    return _texts([["name", "type", "unit", "what"], *rows])


def _type(column: NDArray[Any]) -> str:
    return str(column.dtype).removeprefix("|") + (f"[{column.shape[1]}]" if column.ndim > 1 else "")


def _facts(trace: Trace) -> str:
    per_cpu = ", ".join(f"CPU {cpu}: {count:,}" for cpu, count in enumerate(trace.lost_per_cpu) if count)
    facts = {
        "tool": trace.tool,
        "host": trace.host,
        "kernel": trace.kernel,
        "started": trace.started.isoformat(" ", "seconds") if trace.started else "",
        "duration": f"{trace.duration:.6g} s",
        "losses": format_lost(trace.losses),
        "lost per CPU": per_cpu,
        **{name.replace("_", " "): f"{count:,}" for name, count in trace.observed.items()},
        **{f"option {name}": str(value) for name, value in trace.options.items() if value is not None},
    }
    return _texts([name, value] for name, value in facts.items() if value)


def _texts(rows: Iterable[Sequence[str]]) -> str:
    return f'<table class="facts"><tbody>{"".join(_row("td", row, [False] * len(row)) for row in rows)}</tbody></table>'


def _row(tag: str, texts: Sequence[str], right: Sequence[bool]) -> str:
    cells = zip(texts, right, strict=True)
    return f"<tr>{''.join(f'<{tag}{_NUMBER * number}>{escape(text)}</{tag}>' for text, number in cells)}</tr>"


_NUMBER = ' class="number"'


def _counted(events: int) -> str:
    return f"{events:,} event{'s' * (events != 1)}"


def _details(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"
