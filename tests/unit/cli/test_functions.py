"""``rtrace functions``: the kernel's functions by pattern."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.cli import functions
from rtrace.errors import PrivilegeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]


class Kernel:
    """As much of the native module as the command asks."""

    symbols = (("vfs_write", None), ("vfs_read", None), ("vfs_read", None), ("vfs_read", "odd"), ("udp_send", "net"))

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def kernel_functions(self) -> list[tuple[str, str | None]]:
        return list(self.symbols)

    def tracefs(self) -> tuple[str, bool]:
        if self.folder is None:
            message = "open tracefs: not permitted"
            raise PrivilegeError(message)
        return str(self.folder), True


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(functions, "_rtrace", Kernel(tmp_path))
    monkeypatch.setattr("rtrace.tracefs._rtrace", Kernel(tmp_path))
    (tmp_path / "available_filter_functions").write_text("vfs_write\nudp_send [net]\n")
    return tmp_path


@pytest.mark.usefixtures("tracefs")
def test_matches_are_sorted_and_unique(rtrace: Call) -> None:
    assert rtrace("functions", "vfs_*") == (0, "vfs_read\nvfs_read [odd]\nvfs_write\n", "")
    assert rtrace("functions", "udp_*", "vfs_wr?te") == (0, "udp_send [net]\nvfs_write\n", "")


@pytest.mark.usefixtures("tracefs")
def test_verbose_tells_which_can_be_traced(rtrace: Call) -> None:
    expected = f"{'udp_send [net]':<50} yes\n{'vfs_read':<50} no\n{'vfs_read [odd]':<50} no\n{'vfs_write':<50} yes\n"
    assert rtrace("functions", "-v", "*") == (0, expected, "")


@pytest.mark.usefixtures("tracefs")
def test_json(rtrace: Call) -> None:
    status, out, _ = rtrace("functions", "--json", "udp_send", "vfs_write")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"name": "udp_send", "module": "net", "traceable": True},
        {"name": "vfs_write", "module": None, "traceable": True},
    ]


@pytest.mark.parametrize("folder", [None, "/no/such/folder"])
def test_not_known_is_not_no(rtrace: Call, monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    monkeypatch.setattr(functions, "_rtrace", Kernel(folder))
    monkeypatch.setattr("rtrace.tracefs._rtrace", Kernel(folder))
    status, out, err = rtrace("functions", "-v", "vfs_write")
    assert (status, out) == (0, f"{'vfs_write':<50} unknown\n")
    said = "read available_filter_functions in tracefs: No such file or directory" if folder else "open tracefs: "
    assert err.startswith(f"warning: which can be traced is unknown: {said}")


@pytest.mark.usefixtures("tracefs")
def test_nothing_found_suggests(rtrace: Call) -> None:
    said = "rtrace: error: list functions that match `vfs_reed*`: there are none\nhint: did you mean vfs_read"
    status, out, err = rtrace("functions", "vfs_reed*")
    assert (status, out, err[: len(said)]) == (1, "", said)
    assert rtrace("functions", "qqq")[2].count("\n") == 1
    assert "hint: a pattern is for whole names; " in rtrace("functions", "fs_rea")[2]


def test_a_kernel_that_hides_its_symbols(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "symbols", ())
    monkeypatch.setattr(functions, "_rtrace", Kernel(None))
    status, out, err = rtrace("functions", "*")
    assert (status, out, err) == (1, "", "rtrace: error: list the kernel's functions: /proc/kallsyms shows none\n")


def test_the_running_kernel_reads(rtrace: Call) -> None:
    if not _rtrace.kernel_functions():
        pytest.skip("this kernel lists no functions")
    assert rtrace("functions", "vfs_read") == (0, "vfs_read\n", "")
