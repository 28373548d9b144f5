"""A diagnosis as HTML for notebooks: one table, in the page's own colours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rtrace.display import html_page
from rtrace.display.doctor_text import with_remedies

if TYPE_CHECKING:
    from rtrace.diagnosis import Diagnosis, Finding

# The word stands beside each mark, so that nothing hangs on the sign alone.
_MARKS = {"ok": "✓", "missing": "✗", "refused": "✗", "unknown": "?"}


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Return `diagnosis` as one HTML element; every text from outside is escaped."""
    verdict = f"functions are timed by {diagnosis.mechanism}" if diagnosis.ok else "nothing can be traced"
    rows = "".join(_row(finding, remedy) for finding, remedy in with_remedies(diagnosis.findings))
    head = html_page.line(diagnosis.host, f", Linux {diagnosis.kernel}: {verdict}")
    return html_page.element([head, f'<table class="prose"><tbody>{rows}</tbody></table>'])


def _row(finding: Finding, remedy: str) -> str:
    note = f'<div class="note">→ {escape(remedy)}</div>' if remedy else ""
    return (
        f"<tr><th>{escape(finding.name)}</th><td>{_MARKS[finding.state]} {finding.state}</td>"
        f"<td>{escape(finding.detail)}{note}</td></tr>"
    )
