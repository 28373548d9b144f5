"""Pictures of the benches of the path of the data, beside RESULTS.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.goals import median
from bench.measure import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.measure import Table
    from bench.result import Result

FOLDER = Path(__file__).parent
OURS, THEIRS = "#c44e52", "#8c9aae"


def draw(result: Result) -> None:
    """Draw a bench, if it is one of those that have a picture."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # most of the harness runs where it is missing

    kinds = {"ring_native": ring, "flood_native": flood, "maps_native": maps, "memory_native": memory}
    if result.bench not in kinds:
        return
    figure = Figure(figsize=(8, 4), layout="constrained")
    kinds[result.bench](figure.subplots(), result.table)
    figure.savefig(FOLDER / f"{result.bench}.png", dpi=110)


def ring(ax: Axes, table: Table) -> None:
    """Draw the time of a record for each peer."""
    bars(ax, table, "cpu_ns_per_record")
    ax.set_xscale("log")
    ax.set_xlabel("CPU time of a record, ns (less is better)")
    ax.set_title("A full ring buffer of 64 MiB, 32-byte records, to one array")


def flood(ax: Axes, table: Table) -> None:
    """Draw what was delivered, and lost, per second."""
    bars(ax, table, "delivered_per_s")
    ax.set_xscale("log")
    ax.set_xlabel("events delivered per second (more is better)")
    ax.set_title("A flood of getppid on the other CPU")


def bars(ax: Axes, table: Table, metric: str) -> None:
    """Draw a bar for each peer: its median, with quartiles, and the number itself."""
    for place, (name, samples) in enumerate(reversed(table.items())):
        summary = Summary.of(samples[metric])
        error = [[summary.median - summary.q1], [summary.q3 - summary.median]]
        ax.barh(place, summary.median, xerr=error, color=OURS if name == "rtrace" else THEIRS, capsize=3)
        text = f"{summary.median:,.0f}" if summary.median >= 100 else f"{summary.median:.1f}"  # noqa: PLR2004
        ax.annotate(f" {text}", (summary.q3, place), va="center", xytext=(4, 0), textcoords="offset points")
    ax.set_yticks(range(len(table)), [*reversed(table)])
    ax.margins(x=0.15)
    ax.spines[["top", "right"]].set_visible(False)


def maps(ax: Axes, table: Table) -> None:
    """Draw ratios of rtrace to C, and of bcc to rtrace, for each map."""
    labels = [name.removeprefix("rtrace ") for name in table if name.startswith("rtrace ")]
    metrics = {"snapshot_ms": "#4c72b0", "drain_ms": "#55a868", "clear_ms": "#dd8452"}
    for index, (metric, color) in enumerate(metrics.items()):
        ratios = [median(table, f"rtrace {of}", metric) / median(table, f"C {of}", metric) for of in labels]
        places = [place + 0.25 * (1 - index) for place in range(len(labels))]
        ax.barh(places, ratios, 0.22, color=color, label=metric.removesuffix("_ms"))
    ax.axvline(1, color="black", linewidth=0.8)
    ax.axvline(1.2, color=OURS, linewidth=0.8, linestyle="--", label="goal")
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlabel("CPU time, rtrace over a C loop on batches (less is better)")
    ax.set_title("Hash maps to numpy arrays")
    ax.legend(loc="lower right", fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)


def memory(ax: Axes, table: Table) -> None:
    """Draw resident memory over time."""
    samples = table["rtrace"]
    ax.plot([second / 60 for second in samples["second"]], samples["rss_mb"], color=OURS, linewidth=1)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("minutes")
    ax.set_ylabel("resident memory, MiB")
    ax.set_title("100,000 events a second, 32 MiB at most, a reader that stalls every other ten seconds")
    ax.spines[["top", "right"]].set_visible(False)
