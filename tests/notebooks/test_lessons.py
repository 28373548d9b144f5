"""The lessons run from top to bottom, live and on recorded data, and what is committed is what they show."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.kernel import kernel_objects
from tests.notebooks import lessons

if TYPE_CHECKING:
    from collections.abc import Iterator

Survey = dict[str, frozenset[object]]

# Of a code host's page one screen; pictures and tables included.
MOST_BYTES = 500_000
# What a code host may not show, or what was this machine's alone.
PRIVATE = re.compile(r"/root/|/home/|/tmp/|ipykernel_\d+|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


def outputs(notebook: Any) -> Iterator[tuple[str, Any]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell.source, output


def texts(notebook: Any) -> list[tuple[str, str, str]]:
    """Return what can be compared of the outputs: source, type, text. Pictures differ with versions of fonts."""
    found = []
    for source, output in outputs(notebook):
        if output.output_type == "stream":
            found.append((source, output.name, output.text))
        for kind, text in sorted(output.get("data", {}).items()):
            if kind.startswith("text/"):
                found.append((source, kind, text))
    return found


def check_clean(notebook: Any) -> None:
    """A lesson has no errors, and no warnings either."""
    for source, output in outputs(notebook):
        assert output.output_type != "error", source
        assert output.get("name") != "stderr", (source, output.text)


def said(notebook: Any) -> str:
    return "".join(output.text for _, output in outputs(notebook) if output.output_type == "stream")


@pytest.mark.parametrize("name", lessons.NAMES)
def test_on_recorded_data_it_shows_what_is_committed(name: str) -> None:
    notebook = lessons.run(name, recorded=True)
    check_clean(notebook)
    assert "RECORDED: " in said(notebook)
    assert "LIVE: " not in said(notebook)
    committed = nbformat.read(lessons.FOLDER / f"{name}.ipynb", as_version=4)
    # `python -m tests.notebooks.lessons --recorded --write` brings the committed ones up to date.
    assert texts(committed) == texts(notebook)


@pytest.mark.parametrize("name", lessons.NAMES)
def test_live_it_measures_this_machine(name: str, before: Survey) -> None:
    notebook = lessons.run(name, recorded=False)
    check_clean(notebook)
    spoken = said(notebook)
    # What a kernel has no way to do is shown from the records, with the reason.
    for line in spoken.splitlines():
        if line.startswith("RECORDED"):
            assert re.search(r"since here it is not possible \((NotSupported|Privilege|Attach|Compile)Error", line)
    if "RTRACE_VM" in os.environ:
        # Everything but the tracepoint that Linux has lost.
        assert not re.search(r"RECORDED: data/(?!bpf_urandomread)", spoken)
    assert "left out: this shows" not in spoken
    live = [output for _, output in outputs(notebook) if "; ended" in str(output.get("data", {}).get("text/plain"))]
    # Programs of one's own have no live view of rtrace's.
    assert len(live) == (name != "05_bcc_programs")
    assert kernel_objects.left_behind(before) == {}


@pytest.mark.parametrize("name", lessons.NAMES)
def test_what_is_committed_is_small_and_nobodys_own(name: str) -> None:
    path = lessons.FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < MOST_BYTES
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    check_clean(notebook)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code" and "plot" in cell.source)
    assert not PRIVATE.search("".join(text for _, _, text in texts(notebook)))
    prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for image in re.findall(r"!\[[^]]+\]\(([^)]+)\)", prose):
        assert (lessons.FOLDER / image).is_file()
    assert "## Things to try" in notebook.cells[-1].source


class Page(HTMLParser):
    """Collects the tags of a page that loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [f"{tag} {value}" for name, value in attrs if name in {"src", "href"} and value]


@pytest.mark.parametrize("name", lessons.NAMES)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    page = Page()
    for _, kind, text in texts(nbformat.read(lessons.FOLDER / f"{name}.ipynb", as_version=4)):
        if kind == "text/html":
            page.feed(text)
    assert page.loaded == []
    for image in (lessons.FOLDER / "images").iterdir():
        assert not re.search(r"(src|href)=|url\((?!#)|@import|<script", image.read_text())
