"""A program that was refused, as its cell shows it: what is wrong, the line with a caret, and the way out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from rtrace.display import html_page
from rtrace.errors import CompileError, VerifierError

if TYPE_CHECKING:
    from rtrace.errors import RtraceError

_MOST_MESSAGES = 5
# What the compiler calls the text of a cell, and how the names of rtrace's own headers begin.
_CELL, _OURS = "<text>", "rtrace/"


class Refusal:
    """An error of a cell with its source; shows itself as text and as HTML."""

    def __init__(self, error: RtraceError, source: str) -> None:
        self._error = error
        self._lines = source.split("\n")

    def headline(self) -> list[str]:
        """Return what stands in place of a traceback."""
        return [f"{type(self._error).__name__}: {self._messages()[0][0]}"]

    def __repr__(self) -> str:
        """Return it as text."""
        parts = [f"{type(self._error).__name__}: {self._messages()[0][0]}"]
        for number, (title, excerpt) in enumerate(self._messages()):
            parts += [*([title] if number else []), *([excerpt] if excerpt else [])]
        if self._error.hint:
            parts.append(f"hint: {self._error.hint}")
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        parts = []
        for number, (title, excerpt) in enumerate(self._messages()):
            if number:
                parts.append(f"<div>{escape(title)}</div>")
            else:
                kind = type(self._error).__name__
                parts.append(f'<div class="lost" role="alert"><strong>{kind}</strong>: {escape(title)}</div>')
            if excerpt:
                parts.append(html_page.preformatted(excerpt))
        if self._error.hint:
            parts.append(f"<div>hint: {escape(self._error.hint)}</div>")
        if isinstance(self._error, VerifierError) and self._error.log:
            log = html_page.preformatted("\n".join(self._error.log))
            parts.append(html_page.details("the verifier's whole log", log))
        return html_page.element(parts)

    def _messages(self) -> list[tuple[str, str]]:
        """Return what there is to say, each with the line that it is about; never nothing."""
        if not isinstance(self._error, CompileError) or not self._error.diagnostics:
            message, _, excerpt = str(self._error).partition("\n")
            return [(message, excerpt)]
        # Warnings come before the error that they may explain, but what ended the compiling is said first.
        # How our macros unfold says nothing to who wrote the cell.
        own = [
            one for one in self._error.diagnostics if one["severity"] == "error" or not one["file"].startswith(_OURS)
        ]
        said = sorted(own, key=lambda one: one["severity"] != "error")
        found = [self._message(one) for one in said[:_MOST_MESSAGES]]
        if len(said) > _MOST_MESSAGES:
            found.append((f"and {len(said) - _MOST_MESSAGES} more messages", ""))
        return found

    def _message(self, said: dict[str, Any]) -> tuple[str, str]:
        severity = "" if said["severity"] == "error" else f"{said['severity']}: "
        if not said["line"]:
            return f"{severity}{said['message']}", ""
        inside = said["file"] == _CELL
        where = "" if inside else f"{said['file']}, "
        title = f"{severity}{where}line {said['line']}, column {said['column']}: {said['message']}"
        return title, self._excerpt(said["line"], said["column"]) if inside else ""

    def _excerpt(self, line: int, column: int) -> str:
        """Return the line with a caret below; columns count bytes."""
        if line > len(self._lines):
            return ""
        text = self._lines[line - 1]
        before = text.encode()[: column - 1].decode(errors="ignore")
        # Tabs stay tabs, so that the caret lines up wherever it is shown.
        blank = "".join("\t" if char == "\t" else " " for char in before)
        return f"{line:>5} | {text}\n{'':>5} | {blank}^"
