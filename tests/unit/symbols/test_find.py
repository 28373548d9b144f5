"""Libraries by their short names, programs by their names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtrace import _rtrace
from rtrace.errors import SymbolError


def test_the_c_library_is_the_one_that_we_use() -> None:
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line}
    for found in (_rtrace.find_library("c"), _rtrace.find_library("c", pid=os.getpid())):
        assert found is not None
        assert os.path.realpath(found) in mapped
        assert _rtrace.elf_symbol_offset(found, "malloc")


def test_a_library_that_only_the_process_knows() -> None:
    # Nobody installs it where the loader looks.
    native = Path(_rtrace.__file__)
    assert native.name.startswith("_rtrace")
    assert _rtrace.find_library(str(native)) == str(native)
    assert _rtrace.find_library(str(native), pid=os.getpid()) == str(native)
    assert _rtrace.find_library("/no/such/file.so") is None


@pytest.mark.parametrize("name", ["", "no_such_library", "c.so.6", "libc"])
def test_there_is_no_such_library(name: str) -> None:
    assert _rtrace.find_library(name) is None


def test_no_such_process() -> None:
    with pytest.raises(SymbolError, match="no such process"):
        _rtrace.find_library("c", pid=2**22 + 1)


def test_programs_are_found_as_the_shell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\n")
    (second / "tool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{first}:{second}")
    # What cannot be run is passed over.
    assert _rtrace.find_executable("tool") == str(second / "tool")
    (first / "tool").chmod(0o755)
    assert _rtrace.find_executable("tool") == str(first / "tool")
    assert _rtrace.find_executable(str(second / "tool")) == str(second / "tool")
    assert _rtrace.find_executable("no_such_tool") is None
    assert _rtrace.find_executable("") is None
    assert _rtrace.find_executable(str(first)) is None
