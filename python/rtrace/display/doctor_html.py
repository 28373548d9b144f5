"""A diagnosis as HTML for notebooks: one table, in the page's own colours."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtrace.diagnosis import Diagnosis, Finding

_STYLE = """<style>
.rtrace-doctor { color: inherit; font-size: 13px; line-height: 1.45; max-width: 860px; }
.rtrace-doctor table { border-collapse: collapse; margin: 6px 0; color: inherit; }
.rtrace-doctor th, .rtrace-doctor td { background: none; color: inherit; padding: 3px 14px 3px 0; text-align: left;
  vertical-align: top; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35); overflow-wrap: anywhere; }
.rtrace-doctor .remedy { opacity: .75; }
</style>"""

# The word stands beside each mark, so that nothing hangs on the sign alone.
_MARKS = {"ok": "✓", "missing": "✗", "refused": "✗", "unknown": "?"}


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Return `diagnosis` as one HTML element; every text from outside is escaped."""
    verdict = f"functions are timed by {diagnosis.mechanism}" if diagnosis.ok else "nothing can be traced"
    rows = "\n".join(map(_row, diagnosis.findings))
    return (
        f'<div class="rtrace-doctor">{_STYLE}\n'
        f"<div><strong>{escape(diagnosis.host)}</strong>, Linux {escape(diagnosis.kernel)}: {escape(verdict)}</div>\n"
        f"<table>\n{rows}\n</table></div>"
    )


def _row(finding: Finding) -> str:
    remedy = f'<div class="remedy">{escape(finding.remedy)}</div>' if finding.remedy else ""
    return (
        f"<tr><th>{escape(finding.name)}</th><td>{_MARKS[finding.state]} {finding.state}</td>"
        f"<td>{escape(finding.detail)}{remedy}</td></tr>"
    )
