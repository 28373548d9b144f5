"""Which compiler is taken, and how it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rtrace import diagnosis_checks
from rtrace._rtrace import compile_c, find_compiler
from rtrace.errors import CompileError, NotSupportedError

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "int f(void *ctx) { return 0; }"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the executable of a `ziglang` package, which says what it was called with, and no other compiler."""
    zig = program(tmp_path / "ziglang" / "zig", 'echo "$@" >&2; [ "$1" = version ] && echo 9.9 || exit 1')
    monkeypatch.setattr("sys.path", ["", "no/such/folder", "/no/such/archive.zip", str(tmp_path)])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("RTRACE_CLANG", raising=False)
    return zig


def test_without_a_compiler_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RTRACE_CLANG", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.path", [])
    assert find_compiler() is None
    with pytest.raises(NotSupportedError, match="a C compiler") as caught:
        compile_c(SOURCE)
    assert "clang" in str(caught.value.hint)


def test_the_environment_may_name_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(tmp_path / "my-clang", "echo 'this is no compiler' >&2\nkill -SEGV $$")
    monkeypatch.setenv("RTRACE_CLANG", str(broken))
    with pytest.raises(CompileError, match="ended by signal 11") as caught:
        compile_c(SOURCE)
    assert "this is no compiler" in caught.value.log


@pytest.mark.parametrize("named", ["no-such-clang", "/no/such/clang", "/dev/null"])
def test_a_compiler_that_is_not_there_is_said_by_its_name(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTRACE_CLANG", named)
    hint = f"RTRACE_CLANG is `{named}`, which is no program: unset or correct it"
    with pytest.raises(NotSupportedError) as caught:
        compile_c(SOURCE)
    assert caught.value.hint == hint
    state, _, remedy = diagnosis_checks.compiler()
    assert (state, remedy) == ("missing", hint)


def test_the_package_goes_before_clang(package: Path, tmp_path: Path) -> None:
    clang = program(tmp_path / "bin" / "clang", "echo clang 99")
    assert find_compiler() == {"kind": "zig", "path": str(package), "version": "zig 9.9"}
    package.unlink()
    assert find_compiler() == {"kind": "clang", "path": str(clang), "version": "clang 99"}


@pytest.mark.parametrize(("folder", "found"), [("llvm-11", False), ("llvm-19", True), ("project-2", True)])
def test_a_folder_tells_the_age_of_a_clang(folder: str, found: bool, package: Path, tmp_path: Path) -> None:  # noqa: FBT001
    package.unlink()
    clang = program(tmp_path / folder / "clang", "echo clang")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "clang").symlink_to(clang)
    assert (find_compiler() is not None) == found


def test_the_environment_may_ask_for_either(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clang = program(tmp_path / "bin" / "clang", "echo clang 99")
    monkeypatch.setenv("RTRACE_CLANG", "clang")
    assert find_compiler() == {"kind": "clang", "path": str(clang), "version": "clang 99"}
    monkeypatch.setenv("RTRACE_CLANG", "zig")
    assert find_compiler() == {"kind": "zig", "path": str(package), "version": "zig 9.9"}
    own = program(tmp_path / "bin" / "zig", "echo 1.0")
    assert find_compiler() == {"kind": "zig", "path": str(own), "version": "zig 1.0"}


def test_both_are_asked_for_the_same_but_for_the_instructions(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "clang", 'echo "$@" >&2; exit 1')
    words = {}
    for name in ("zig", "clang"):
        monkeypatch.setenv("RTRACE_CLANG", name)
        with pytest.raises(CompileError) as caught:
            compile_c(SOURCE)
        words[name] = caught.value.log.split()
    assert package.is_file()
    # What new compilers make of instructions for 64 bits alone, the verifier refuses.
    words["zig"].remove("-mcpu=v3")
    assert words["zig"] == ["clang", *words["clang"]]
    assert words["clang"][:2] == ["-target", "bpfel"]
