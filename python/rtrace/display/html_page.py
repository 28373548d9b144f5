"""What every display in a notebook shares: one element with its style inside, tables, alerts, and parts to unfold.

Everything is inline: a saved page shows it as the notebook does. Colours are those of the notebook's own theme
(JupyterLab and VS Code publish theirs as CSS variables); a page without a theme is asked whether it is dark. Nothing
hangs on a colour alone.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The class keeps it from touching anything else on the page. Said three times it weighs more than JupyterLab's own
# rules for tables, which put every cell on the right and shade every other row.
STYLE = """<style>
.rtrace { --rtrace-blue: #2f6fb7; --rtrace-orange: #b35c00; color: inherit; font-size: 13px; line-height: 1.45; }
@media (prefers-color-scheme: dark) { .rtrace { --rtrace-blue: #6ea8e8; --rtrace-orange: #f0a04b; } }
.rtrace { --rtrace-bar: var(--jp-brand-color1, var(--vscode-charts-blue, var(--rtrace-blue)));
  --rtrace-warn: var(--jp-warn-color0, var(--vscode-charts-orange, var(--rtrace-orange)));
  --rtrace-rule: var(--jp-border-color2, var(--vscode-widget-border, rgba(128, 128, 128, .4))); }
.rtrace .wide { overflow-x: auto; }
.rtrace svg { display: block; width: 100%; max-width: 720px; height: auto; margin: 4px 0; }
.rtrace svg .bar { fill: var(--rtrace-bar); }
.rtrace table { border-collapse: collapse; margin: 6px 0; color: inherit; font-size: inherit; }
.rtrace.rtrace.rtrace tr { background: none; }
.rtrace.rtrace.rtrace th, .rtrace.rtrace.rtrace td { background: none; color: inherit; padding: 2px 14px 2px 0;
  text-align: left; border: 0;
  border-bottom: 1px solid var(--rtrace-rule); font-variant-numeric: tabular-nums; white-space: pre;
  vertical-align: top; max-width: none; }
.rtrace table th { font-weight: 600; }
.rtrace table thead th { opacity: .8; }
.rtrace.rtrace.rtrace .number { text-align: right; }
.rtrace.rtrace.rtrace .prose td { white-space: normal; overflow-wrap: anywhere; }
.rtrace.rtrace.rtrace .prose td:first-child, .rtrace.rtrace.rtrace .prose th { white-space: nowrap; }
.rtrace pre { background: none; color: inherit; font-size: inherit; margin: 4px 0; padding: 0;
  border: 0; overflow-x: auto; }
.rtrace code { background: none; color: inherit; font-size: inherit; padding: 0; }
.rtrace .lost { border-left: 4px solid var(--rtrace-warn); background: rgba(217, 130, 43, .15); padding: 4px 10px; }
.rtrace .note { opacity: .8; }
.rtrace summary { cursor: pointer; }
</style>"""


def element(parts: Iterable[str]) -> str:
    """Put parts of HTML into one element that brings its style along; empty ones are left out."""
    return "\n".join([f'<div class="rtrace">{STYLE}', *filter(None, parts), "</div>"])


def line(strong: str, rest: str) -> str:
    """Return the first line of a display: what it is about, and what there is to say of it."""
    return f"<div><strong>{escape(strong)}</strong>{escape(rest)}</div>"


def alert(text: str) -> str:
    """Return a line that cannot be overlooked."""
    return f'<div class="lost" role="alert">{escape(text)}</div>'


def note(text: str) -> str:
    """Return a line that may be overlooked, or nothing if there is no text."""
    return f'<div class="note">{escape(text)}</div>' if text else ""


def preformatted(text: str) -> str:
    """Return lines whose characters stand below each other."""
    return f"<pre>{escape(text)}</pre>"


def row(tag: str, texts: Iterable[str], right: Sequence[bool]) -> str:
    """Return a row of cells of one kind, numbers on the right."""
    cells = zip(texts, right, strict=True)
    return f"<tr>{''.join(f'<{tag}{_NUMBER * number}>{escape(text)}</{tag}>' for text, number in cells)}</tr>"


_NUMBER = ' class="number"'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> str:
    """Return a table whose columns stand right where they are numbers; it scrolls if it is too wide."""
    head = f"<thead>{row('th', heads, right)}</thead>" if heads else ""
    return f'<div class="wide"><table>{head}<tbody>{"".join(row("td", cells, right) for cells in rows)}</tbody></table></div>'  # noqa: E501


def facts(pairs: Iterable[Sequence[str]], heads: Sequence[str] = ()) -> str:
    """Return a table of texts, which are wrapped."""
    head = f"<thead>{row('th', heads, [False] * len(heads))}</thead>" if heads else ""
    body = "".join(row("td", pair, [False] * len(pair)) for pair in pairs)
    return f'<table class="prose">{head}<tbody>{body}</tbody></table>'


def details(title: str, inner: str, *, unfolded: bool = False) -> str:
    """Return a part that is unfolded by a click."""
    return f"<details{' open' * unfolded}><summary>{escape(title)}</summary>{inner}</details>"
