"""What ``%%bpf --debug`` shows: how long it took, and the instructions of every program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrace.display import html_page

if TYPE_CHECKING:
    from rtrace.bcc.bpf import BPF


class Listing:
    """The instructions of a BPF object's programs as the compiler made them."""

    def __init__(self, bpf: BPF, seconds: float) -> None:
        self._took = f"compiled, loaded and attached in {seconds * 1000:,.0f} ms (from the cache if seen before)"
        self._programs = {name: bpf.disassemble_func(name) for name in sorted(bpf.native.program_names)}

    def __repr__(self) -> str:
        """Return it as text."""
        return "\n\n".join([self._took, *(f"{name}:\n{text}" for name, text in self._programs.items())])

    def _repr_html_(self) -> str:
        parts = [html_page.note(self._took)]
        for name, text in self._programs.items():
            title = f"{name}: {len(text.splitlines())} instructions"
            parts.append(html_page.details(title, html_page.preformatted(text)))
        return html_page.element(parts)
