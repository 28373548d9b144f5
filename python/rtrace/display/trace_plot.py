"""A trace drawn with matplotlib: events per second, or its latencies over time.

Latencies are points as long as they can be told apart, and a heat map beyond that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from rtrace.display.histogram_plot import new_axes
from rtrace.display.trace_cells import format_lost, format_origin
from rtrace.display.wording import format_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]
    from numpy.typing import NDArray

    from rtrace.trace import Trace

_BINS = 100
_LATENCY = "latency_ns"
# Parts of a power of two that a heat map tells apart.
_STEPS = 4
_MOST_LABELS = 10
_MOST_POINTS = 1000


def plot_trace(trace: Trace, ax: Axes | None = None, kind: Literal["rate", "latency"] | None = None) -> Axes:
    """Draw `trace` on `ax`, or on a new figure, and return the axes."""
    drawable = _LATENCY in trace.fields and trace[_LATENCY].ndim == 1 and trace[_LATENCY].dtype.kind in "iu"
    if kind not in {None, "rate", "latency"}:
        msg = f"kind is 'rate' or 'latency', not {kind!r}"
        raise ValueError(msg)
    if kind == "latency" and not drawable:
        msg = f"plot latencies of `{trace.target}`: there is no column `{_LATENCY}` of integers"
        raise ValueError(msg)
    if ax is None:
        ax = new_axes("trace")
    if not len(trace):
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no events were recorded", transform=ax.transAxes, ha="center", va="center")
    else:
        stamps = trace["ts_ns"]
        seconds = (stamps - stamps.min()) / 1e9
        # At least a moment, so that a single event has a width.
        edges = np.linspace(0, max(float(seconds.max()), 1e-6), _BINS + 1)
        if drawable and kind != "rate":
            _latencies(trace, seconds, edges, ax)
        else:
            _rate(seconds, edges, ax)
        ax.set_xlabel("time (s)" + f": {format_origin(trace)}".replace("time 0", "0") * bool(trace.clock_offset_ns))
        ax.set_xlim(0, edges[-1])
    # Dollar signs are escaped, since matplotlib takes what is between two of them for a formula.
    title = f"{trace.target}: {len(trace):,} event{'s' * (len(trace) != 1)}".replace("$", r"\$")
    # Losses are part of the result, so they stand in the title where cropping does not take them away.
    ax.set_title(title + f"\n{format_lost(trace.losses)}" * bool(trace.lost))
    return ax


def _rate(seconds: NDArray[np.float64], edges: NDArray[np.float64], ax: Axes) -> None:
    counts, _ = np.histogram(seconds, edges)
    ax.stairs(counts / np.diff(edges), edges, fill=True)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("events per second")
    ax.yaxis.set_major_formatter("{x:,.0f}")


def _latencies(trace: Trace, seconds: NDArray[np.float64], edges: NDArray[np.float64], ax: Axes) -> None:
    # Zero, and what clocks made negative, stands at 1 ns, as a logarithm has no place for it.
    powers = np.log2(np.maximum(trace[_LATENCY].astype(np.float64), 1))
    low, high = int(np.floor(powers.min())), int(np.floor(powers.max())) + 1
    if len(trace) <= _MOST_POINTS:
        # Not cut in half at the edges.
        ax.plot(seconds, powers, ".", alpha=0.6, clip_on=False)
        ax.set_ylim(low, high)
    else:
        _heat_map(seconds, powers, edges, np.linspace(low, high, (high - low) * _STEPS + 1), ax)
    ticks = range(low, high + 1, (high - low) // _MOST_LABELS + 1)
    ax.set_yticks(list(ticks), [format_time(2.0**tick, "ns") for tick in ticks])
    ax.set_ylabel("latency (ns to s, log2 scale)")


def _heat_map(
    seconds: NDArray[np.float64],
    powers: NDArray[np.float64],
    edges: NDArray[np.float64],
    steps: NDArray[np.float64],
    ax: Axes,
) -> None:
    import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415  # here since there are axes

    counts, _, _ = np.histogram2d(seconds, powers, (edges, steps))
    # Empty cells stay the colour of the page.
    shown = np.ma.masked_equal(counts.T, 0)
    norm = mpl.colors.LogNorm(1, max(counts.max(), 10))
    mesh = ax.pcolormesh(edges, steps, shown, norm=norm, cmap="viridis", rasterized=True)
    figure = ax.get_figure()
    if figure is not None:
        figure.colorbar(mesh, ax=ax, label="events")
