"""Tables as HTML for notebooks: histograms as bars, others as rows, and of buffers what they have lost."""

from __future__ import annotations

import ctypes as ct
from typing import TYPE_CHECKING, Any

from rtrace.bcc.ctypes_types import members
from rtrace.bcc.tables.per_cpu import PerCpuTable
from rtrace.display import html_page
from rtrace.display.buckets import SlotCounts
from rtrace.display.histogram_svg import histogram_svg
from rtrace.display.wording import MARKED_PERCENTILES, format_range, printable

if TYPE_CHECKING:
    from rtrace.bcc.tables.base import TableBase
    from rtrace.bcc.tables.events import EventTable

_MOST_ROWS = 20
_MOST_SECTIONS = 10
# Bars of single values would be thinner than a pixel.
_MOST_BARS = 200


def table_html(table: TableBase) -> str:
    """Return the entries of one snapshot as one HTML element; every text from outside is escaped."""
    counts = _slot_counts(table) if table.is_histogram else None
    return html_page.element(_rows(table) if counts is None else _bars(table, counts))


def events_html(table: EventTable) -> str:
    """Return how a buffer of events is read, and what it has lost."""
    kind = type(table).__name__
    how = f"{kind}, open: events wait in it to be read or polled" if table.is_open else f"{kind}, not open yet"
    parts = [html_page.line(table.name, f": {how}")]
    if table.lost:
        parts.append(html_page.alert(f"lost: {table.lost:,} event{'s' * (table.lost != 1)} (the buffer was full)"))
    return html_page.element(parts)


def _slot_counts(table: TableBase) -> list[tuple[Any, SlotCounts]] | None:
    """Return the counts of each section, those that counted most first; None if they make no picture."""
    linear = not table.counts_powers
    try:
        sections = [(key, SlotCounts(table.name, slots, linear)) for key, slots in table.sections()]
    except (TypeError, ValueError):
        return None  # keys or leaves of another kind than a histogram's
    if any(len(counts.slots) > _MOST_BARS for _, counts in sections):
        return None
    return sorted(sections, key=lambda section: -section[1].total)


def _bars(table: TableBase, sections: list[tuple[Any, SlotCounts]]) -> list[str]:
    longest = max((len(counts.slots) for _, counts in sections), default=0)
    slots = [sum(counts.slots[slot] for _, counts in sections if slot < len(counts.slots)) for slot in range(longest)]
    whole = SlotCounts(table.name, slots, not table.counts_powers)
    if not whole.total:
        return [html_page.line(table.name, ": a histogram that has counted nothing yet")]
    buckets = "a bucket for each value" if whole.linear else "log2 buckets"
    used = [section for section in sections if section[1].total]
    split = f" in {len(used):,} sections" if table.key_fields else ""
    parts = [html_page.line(table.name, f": {whole.total:,} counted{split}, {buckets}"), histogram_svg(whole)]
    heads = [*table.key_fields[:1], "counts", *(f"p{p}" for p in MARKED_PERCENTILES)]
    rows = [
        [_cell(key)] * bool(table.key_fields)
        + [f"{counts.total:,}", *(format_range(*counts.percentile(p), "") for p in MARKED_PERCENTILES)]
        for key, counts in used[:_MOST_SECTIONS]
    ]
    parts.append(html_page.table(heads, rows, [head != heads[0] or not table.key_fields for head in heads]))
    if len(used) > _MOST_SECTIONS:
        parts.append(html_page.note(f"and {len(used) - _MOST_SECTIONS:,} more"))
    return parts


def _rows(table: TableBase) -> list[str]:
    heads = table.leaf_fields or ["value"]
    entries = [(_members(key), _members(leaf)) for key, leaf in table.items()]
    if isinstance(table, PerCpuTable) and entries and all(isinstance(one, int) for one in entries[0][1][0]):
        heads = ["sum", "by CPU"]
        entries = [(key, [sum(leaf[0]), leaf[0]]) for key, leaf in entries]
    used = [entry for entry in entries if any(map(_counts, entry[1]))]
    # One number is mostly a count, and the largest are what people look for.
    if used and not table.leaf_fields and isinstance(used[0][1][0], int):
        used.sort(key=lambda entry: -entry[1][0])
    kind = type(table).__name__
    room = f"{len(entries):,} of at most {table.max_entries:,} entries"
    parts = [html_page.line(table.name, f": {kind}, {room}")]
    if used:
        heads = [*(table.key_fields or ["key"]), *heads]
        cells = [[_cell(value) for value in (*key, *leaf)] for key, leaf in used[:_MOST_ROWS]]
        right = [isinstance(value, (int, float)) for value in (*used[0][0], *used[0][1])]
        parts.append(html_page.table(heads, cells, right))
    left = len(used) - min(len(used), _MOST_ROWS)
    zeros = len(entries) - len(used)
    more = [f"and {left:,} more"] * bool(left) + [f"{zeros:,} with a value of 0"] * bool(zeros)
    return [*parts, html_page.note("; ".join(more))]


def _members(value: Any) -> list[Any]:
    """Return the parts of a key or leaf as Python's own values."""
    if isinstance(value, ct.Structure | ct.Union):
        return [_plain(getattr(value, name)) for name, _ in members(type(value))]
    if isinstance(value, ct.Array | list) and not hasattr(value, "value"):
        return [_plain(value)]
    return [getattr(value, "value", value)]


def _plain(value: Any) -> Any:
    if isinstance(value, ct.Array | list) and not hasattr(value, "value"):
        return [_plain(one) for one in value]
    if isinstance(value, ct.Structure | ct.Union):
        return tuple(_members(value))
    return getattr(value, "value", value)


def _counts(value: Any) -> bool:
    """Whether a value is not all zero."""
    return any(map(_counts, value)) if isinstance(value, (list, tuple)) else bool(value)


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return printable(value.decode(errors="replace"))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    return str(value)
