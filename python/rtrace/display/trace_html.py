"""A trace as HTML for notebooks: its first and last events in a table, its latencies, losses in plain sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtrace.display import html_page
from rtrace.display.histogram_svg import histogram_svg
from rtrace.display.trace_cells import column_cells, format_lost, format_origin
from rtrace.display.wording import MARKED_PERCENTILES, format_range, format_time, observed_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtrace.trace import Trace

_FIRST_ROWS, _LAST_ROWS = 10, 5
_LATENCY = "latency_ns"


def trace_html(trace: Trace) -> str:
    """Return `trace` as one HTML element; every text from outside is escaped."""
    lasted = f" in {trace.duration:.6g} s, {trace.events_per_second:,.6g} per second" if trace.duration else ""
    parts = [html_page.line(trace.target, f": {_counted(len(trace))}{lasted}")]
    if trace.lost:
        parts.append(html_page.alert(format_lost(trace.losses)))
    if len(trace):
        parts += [_events(trace), html_page.note(format_origin(trace)), _latencies(trace)]
    else:
        parts.append("<div>No events were recorded.</div>")
    parts += [
        html_page.details("columns", _columns(trace)),
        html_page.details("how it was recorded", _facts(trace)),
    ]
    return html_page.element(parts)


def events_table(trace: Trace, slices: list[slice], first_ns: int | None = None) -> str:
    """Return some rows of the table, with a line between slices on how many are left out.

    Times count from the first event, or from `first_ns`.
    """
    heads = ""
    bodies = []
    for rows in slices:
        columns = [column_cells(trace, name, rows, first_ns) for name in trace.fields]
        right = [column.right for column in columns]
        heads = html_page.row("th", [column.heading for column in columns], right)
        lines = zip(*(column.cells for column in columns), strict=True)
        bodies.append("".join(html_page.row("td", cells, right) for cells in lines))
    between = len(trace) - sum(len(range(*rows.indices(len(trace)))) for rows in slices)
    more = f'<tr><td colspan="{len(trace.fields)}" style="text-align: left">… {between:,} more …</td></tr>'
    return f'<div class="wide"><table><thead>{heads}</thead><tbody>{more.join(bodies)}</tbody></table></div>'


def _events(trace: Trace) -> str:
    """Return the first and last rows."""
    total = len(trace)
    # A line that stands for a single row would save nothing.
    if total - _FIRST_ROWS - _LAST_ROWS <= 1:
        return events_table(trace, [slice(total)])
    return events_table(trace, [slice(_FIRST_ROWS), slice(total - _LAST_ROWS, total)])


def _latencies(trace: Trace) -> str:
    """Return the percentiles of a trace of latencies, and its histogram to unfold; nothing if it has none."""
    if not has_latencies(trace):
        return ""
    hist = trace.histogram(_LATENCY)
    bounds = [format_range(*hist.percentile(p), hist.unit) for p in MARKED_PERCENTILES]
    heads = ["latency: mean", *(f"p{p}" for p in MARKED_PERCENTILES)]
    cells = [format_time(hist.mean, hist.unit), *bounds]
    numbers = html_page.table(heads, [cells], [True] * len(heads))
    return numbers + html_page.details("latencies as a histogram", histogram_svg(hist))


def has_latencies(trace: Trace) -> bool:
    """Whether there are latencies that a histogram can count."""
    if _LATENCY not in trace.fields or not len(trace):
        return False
    column = trace[_LATENCY]
    return column.ndim == 1 and column.dtype.kind in "iu" and trace.fields[_LATENCY].unit == "ns" and column.min() >= 0


def _columns(trace: Trace) -> str:
    rows = [[name, _type(trace[name]), item.unit, item.description] for name, item in trace.fields.items()]
    return html_page.facts(rows, ["name", "type", "unit", "what"])


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
        **observed_rows(trace.observed),
        **{f"option {name}": str(value) for name, value in trace.options.items() if value is not None},
    }
    return html_page.facts([name, value] for name, value in facts.items() if value)


def _counted(events: int) -> str:
    return f"{events:,} event{'s' * (events != 1)}"
