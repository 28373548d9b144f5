"""What was compiled before is not compiled again, and only what was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rtrace._rtrace import compile_c, find_compiler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = "int f(void *ctx) { return 0; }"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that says how often the compiler was run."""
    compiler = find_compiler()
    assert compiler is not None
    log = tmp_path / "runs"
    log.touch()
    # Its name says which kind it is.
    wrapper = tmp_path / compiler["kind"]
    wrapper.write_text(f'#!/bin/sh\necho run >> {log}\nexec {compiler["path"]} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("RTRACE_CLANG", str(wrapper))
    return lambda: len(log.read_text().splitlines())


def test_the_same_is_compiled_once(runs: Callable[[], int]) -> None:
    assert compile_c(SOURCE) == compile_c(SOURCE)
    assert runs() == 1
    compile_c(SOURCE, cache=False)
    assert runs() == 2


def test_whatever_changes_the_object_is_compiled_again(runs: Callable[[], int], tmp_path: Path) -> None:
    header = tmp_path / "a.h"
    header.write_text("#define A 1\n")
    program = f'#include "a.h"\n{SOURCE}'
    options: list[tuple[str, dict[str, object]]] = [
        (SOURCE, {}),
        (SOURCE + " ", {}),
        (SOURCE, {"name": "b.c"}),
        (SOURCE, {"cflags": ["-DA"]}),
        (SOURCE, {"cflags": ["-D", "A"]}),
        (program, {"include_dirs": [str(tmp_path)]}),
    ]
    for expected, (source, given) in enumerate(options, 1):
        compile_c(source, **given)  # type: ignore[arg-type]
        compile_c(source, **given)  # type: ignore[arg-type]
        assert runs() == expected
    header.write_text("#define A 2\n")
    compile_c(program, include_dirs=[str(tmp_path)])
    assert runs() == len(options) + 1


def test_a_new_compiler_compiles_again(runs: Callable[[], int]) -> None:
    compile_c(SOURCE)
    wrapper = os.environ["RTRACE_CLANG"]
    os.utime(wrapper, (1, 1))
    compile_c(SOURCE)
    assert runs() == 2


def test_errors_are_not_kept(runs: Callable[[], int], own_cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(Exception, match="nothing"):
            compile_c("int f(void *ctx) { return nothing; }")
    # Each time with what it needs of the prelude, and then with all of it.
    assert runs() == 4
    assert not own_cache.exists()


def test_a_damaged_object_is_made_again(runs: Callable[[], int], own_cache: Path) -> None:
    data = compile_c(SOURCE)
    [kept] = own_cache.iterdir()
    kept.write_bytes(b"")
    assert compile_c(SOURCE) == data
    assert runs() == 2
    assert kept.read_bytes() == data


def test_what_others_may_write_to_is_not_believed(runs: Callable[[], int], own_cache: Path) -> None:
    compile_c(SOURCE)
    own_cache.chmod(0o777)
    compile_c(SOURCE)
    assert runs() == 2


def test_no_place_for_a_cache_is_no_error(runs: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    compile_c(SOURCE)
    compile_c(SOURCE)
    assert runs() == 2
