"""Lists of tracepoints and formats: what they hold, and how they show themselves."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import rtrace
from rtrace.errors import PrivilegeError
from rtrace.tracepoint import TracepointList, parse
from tests.unit.html_page import Page

DATA = Path(__file__).parents[1] / "data/formats"
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("block/block_rq_issue", "block/block_plug", "sched/sched_switch"):
        (tmp_path / name).mkdir(parents=True)
    text = (DATA / "block_rq_issue.format").read_text()
    (tmp_path / "block/block_rq_issue/format").write_text(text)
    monkeypatch.setattr("rtrace.tracefs.events_folder", lambda: str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("tracefs")
def test_a_list_is_a_tuple_that_shows_itself() -> None:
    found = rtrace.tracepoints()
    assert list(found) == ["block:block_plug", "block:block_rq_issue", "sched:sched_switch"]
    assert found.categories == {"block": ["block_plug", "block_rq_issue"], "sched": ["sched_switch"]}
    assert repr(found) == "<TracepointList tracepoints=3 categories=2>"
    assert str(rtrace.tracepoints("sched*")) == "sched:sched_switch"
    page = Page(found._repr_html_())
    assert "3 tracepoints in 2 categories" in page.text
    assert page.tags.count("details open") == 2
    assert "block_rq_issue" in page.text


@pytest.mark.usefixtures("tracefs")
def test_a_name_that_tracefs_lists_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modules with a tracepoint of the same name, like i915 and xe of Linux 6.12."""
    scan = os.scandir
    monkeypatch.setattr("rtrace.tracefs.os.scandir", lambda path: [entry for entry in scan(path) for _ in "ab"])
    assert list(rtrace.tracepoints("block:*")) == ["block:block_plug", "block:block_rq_issue"]


def test_a_long_list_is_folded_and_cut() -> None:
    found = TracepointList(f"{category}:{HOSTILE}{number}" for category in "ab" for number in range(300))
    page = Page(found._repr_html_())
    assert "script" not in page.tags
    assert page.tags.count("details") == 2
    assert page.tags.count("code") == 400
    assert "and 200 more" in page.text


def test_an_empty_list() -> None:
    assert "0 tracepoints in 0 categories" in Page(TracepointList()._repr_html_()).text


@pytest.mark.usefixtures("tracefs")
def test_a_format() -> None:
    found = rtrace.tracepoint_format("block:block_rq_issue")
    assert repr(found) == "<TracepointFormat block:block_rq_issue id=1061 fields=7 size=60 bytes>"
    assert (found["bytes"].offset, found["bytes"].size, found["bytes"].numpy) == (28, 4, "u4")
    assert (found["comm"].column, found["comm"].numpy) == ("comm_", "S16")
    with pytest.raises(KeyError, match="no field 'nope'"):
        found["nope"]
    assert str(found).startswith("block:block_rq_issue (ID 1061, 60 bytes)\n\nFIELD")
    assert found._repr_mimebundle_() == {"text/plain": str(found)}
    page = Page(found._repr_html_())
    for text in ("offset (bytes)", "sector_t", "S16 as comm_", "as major,minor of a device: dev", "%d,%d %s %u (%s)"):
        assert text in page.text


def test_a_format_with_hostile_texts() -> None:
    text = (DATA / "block_rq_issue.format").read_text().replace("%d,%d %s", HOSTILE)
    page = Page(parse(HOSTILE, text)._repr_html_())
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) == 2


@pytest.mark.usefixtures("tracefs")
def test_a_format_that_is_none(tracefs: Path) -> None:
    (tracefs / "block/block_plug/format").write_text("nonsense")
    with pytest.raises(ValueError, match="read the format of `block:block_plug`: parse format"):
        rtrace.tracepoint_format("block:block_plug")
    with pytest.raises(rtrace.TargetNotFoundError) as caught:
        rtrace.tracepoint_format("block:block_rq_isue")
    assert caught.value.suggestions[0] == "block:block_rq_issue"


@pytest.mark.usefixtures("tracefs")
@pytest.mark.parametrize(("number", "missing"), [(errno.EACCES, ("CAP_DAC_READ_SEARCH",)), (errno.EPERM, ())])
def test_what_cannot_be_read_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, number: int, missing: tuple[str, ...]
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(number, os.strerror(number), path)

    monkeypatch.setattr("rtrace.tracefs.os.scandir", refuse)
    with pytest.raises(
        PrivilegeError, match=f"^read the list of tracepoints in tracefs: {os.strerror(number)}"
    ) as found:
        rtrace.tracepoints()
    assert (found.value.errno, found.value.missing) == (number, missing)
    assert all(name in (found.value.hint or "") for name in missing or ("lockdown",))


@pytest.mark.parametrize(
    ("mounted", "held", "missing"),
    [
        (True, (), ("CAP_DAC_READ_SEARCH",)),
        (True, ("CAP_SYS_ADMIN",), ("CAP_DAC_READ_SEARCH",)),
        (False, (), ("CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN")),
        (False, ("CAP_DAC_READ_SEARCH",), ("CAP_SYS_ADMIN",)),
        (False, ("CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"), ("told by the kernel",)),
    ],
)
def test_what_cannot_be_opened_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, *, mounted: bool, held: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    def refuse() -> None:
        message = "open tracefs: no"
        raise PrivilegeError(message, errno=errno.EPERM, missing=["told by the kernel"])

    monkeypatch.setattr("rtrace._rtrace.tracefs", refuse)
    monkeypatch.setattr("rtrace.tracefs.is_mounted", lambda: mounted)
    monkeypatch.setattr("rtrace.tracefs.lacking", lambda wanted: tuple(name for name in wanted if name not in held))
    with pytest.raises(PrivilegeError, match="^open tracefs: ") as found:
        rtrace.tracepoint_format("a:b")
    assert found.value.missing == missing
