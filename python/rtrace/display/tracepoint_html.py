"""Tracepoints as HTML for notebooks: a list by category, and the fields of one."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from rtrace.display import html_page
from rtrace.display.tracepoint_text import hints, named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtrace.tracepoint import TracepointField, TracepointFormat, TracepointList

# More than these are to be found with a pattern, and would make a saved notebook large.
_MOST_NAMES = 400
# So few are unfolded.
_MOST_UNFOLDED = 40
_RIGHT = (False, False, True, True, False)


def list_html(found: TracepointList) -> str:
    """Return the names, to unfold by category; every text from outside is escaped."""
    categories = found.categories
    most = f"{len(categories):,} categor{'y' if len(categories) == 1 else 'ies'}"
    parts = [html_page.line(f"{len(found):,} tracepoint{'s' * (len(found) != 1)}", f" in {most}")]
    left = _MOST_NAMES
    for category, names in categories.items():
        shown = list(islice(names, left))
        left -= len(shown)
        code = " ".join(f"<code>{escape(name)}</code>" for name in shown)
        more = f" and {len(names) - len(shown):,} more" * (len(shown) < len(names))
        title = f"{category}: {len(names):,}"
        parts.append(html_page.details(title, f"<div>{code}{more}</div>", unfolded=len(found) <= _MOST_UNFOLDED))
    return html_page.element(parts)


def format_html(found: TracepointFormat) -> str:
    """Return the fields as a table, then what is known of their values; every text from outside is escaped."""
    own = [field for field in found.fields if not field.common]
    common = [field for field in found.fields if field.common]
    notes = [*hints(found.facts), *map(named, found.facts["tables"])]
    return html_page.element(
        [
            html_page.line(found.target, f": ID {found.id}, record of {found.size:,} bytes"),
            _fields(own),
            *map(html_page.note, notes),
            html_page.details("fields of every tracepoint (not recorded)", _fields(common)),
            html_page.details("the kernel's own print format", f"<code>{escape(found.facts['format_string'])}</code>"),
        ]
    )


def _fields(fields: Iterable[TracepointField]) -> str:
    rows = [
        [field.name, field.c_type, str(field.offset), str(field.size),
         field.numpy + f" as {field.column}" * (field.column != field.name)]
        for field in fields
    ]  # fmt: skip
    return html_page.table(["field", "type in C", "offset (bytes)", "size (bytes)", "numpy type"], rows, _RIGHT)
