"""A diagnosis as a table of text below 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtrace.diagnosis import Diagnosis, Finding

_WIDTH = 79
_COLUMNS = "{:<18}{:<9}"
_INDENT = len(_COLUMNS.format("", ""))


def format_diagnosis(diagnosis: Diagnosis) -> str:
    """Return what ``print`` shows: a line on the whole, and each finding with what to do about it."""
    if diagnosis.ok:
        verdict = f"rtrace works on {diagnosis.host}: functions are timed by {diagnosis.mechanism}"
    else:
        verdict = f"rtrace cannot trace anything on {diagnosis.host}"
    lines = [_wrap(verdict, ""), ""]
    for finding, remedy in with_remedies(diagnosis.findings):
        lines.append(_wrap(finding.detail, _COLUMNS.format(finding.name, finding.state)))
        if remedy:
            lines.append(_wrap(f"-> {remedy}", " " * _INDENT))
    return "\n".join(lines)


def with_remedies(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Yield each finding and what to do about it, which is said once where one thing is in the way of many."""
    said: dict[str, str] = {}
    for finding in findings:
        first = said.setdefault(finding.remedy, finding.name)
        yield finding, finding.remedy if first == finding.name or not finding.remedy else f"as for {first}"


def _wrap(text: str, start: str) -> str:
    # Break only between words, unless one alone is too long: names and paths are there to be copied.
    return textwrap.fill(
        text, _WIDTH, initial_indent=start, subsequent_indent=" " * _INDENT * bool(start), break_on_hyphens=False
    )
