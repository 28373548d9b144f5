"""``rtrace report``: saved histograms, printed."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.cli.conftest import make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    started = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    facts: dict[str, Any] = {
        "host": "vm",
        "kernel": "6.18",
        "started": started,
        "boundary": "read " * 20,
        "options": {"pid": 7},
    }
    make(**facts).save("reads.npz")
    return tmp_path


@pytest.mark.usefixtures("saved")
def test_a_saved_histogram(rtrace: Call) -> None:
    status, out, err = rtrace("report", "reads.npz")
    assert (status, err) == (0, "")
    assert (
        out
        == """\
reads.npz: vfs_read by syscall, 3 calls
timed: read read read read read read read read read read read read read read
  read read read read read read
measured: vm with Linux 6.18, 2026-01-02 03:04:05 UTC, 3 s
only: pid=7
     usecs               : count     distribution
         0 -> 1          : 0        |                                        |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 3        |****************************************|
"""
    )


@pytest.mark.usefixtures("saved")
def test_several(rtrace: Call) -> None:
    _, once, _ = rtrace("report", "reads.npz")
    assert rtrace("report", "reads.npz", "reads.npz") == (0, f"{once}\n{once}", "")


@pytest.mark.usefixtures("saved")
def test_json(rtrace: Call) -> None:
    status, out, _ = rtrace("report", "--json", "reads.npz", "reads.npz")
    assert status == 0
    assert [json.loads(line)["total"] for line in out.splitlines()] == [3, 3]


def test_facts_that_are_not_known_are_left_out(rtrace: Call, saved: Path) -> None:
    make(mechanism="", duration=0.5).save(saved / "few.npz")
    _, out, _ = rtrace("report", "few.npz")
    assert out.startswith("few.npz: vfs_read by an unknown mechanism, 3 calls\nmeasured: 0.5 s\n     usecs")


def test_files_that_are_none(rtrace: Call, saved: Path) -> None:
    (saved / "text.npz").write_text("no")
    assert rtrace("report", "none.npz") == (1, "", "rtrace: error: `none.npz`: No such file or directory\n")
    status, out, err = rtrace("report", "text.npz")
    assert (status, out) == (1, "")
    assert err.startswith("rtrace: error: ")
    assert "text.npz" in err
    assert rtrace("report")[0] == 2
