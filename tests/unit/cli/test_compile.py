"""``rtrace compile``: from a file to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rtrace import ObjectSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

SOURCE = 'BPF_HASH(counts, u32);\n#include "own.h"\nint f(void *ctx) { counts.increment(OWN + FLAG); return 0; }\n'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "own.h").write_text("#define OWN 1\n")
    path = tmp_path / "prog.c"
    path.write_text(SOURCE)
    return path


def test_the_object_lies_beside_the_program(rtrace: Call, program: Path) -> None:
    assert rtrace("compile", "-I", str(program.parent / "include"), str(program), "--", "-DFLAG=2") == (0, "", "")
    spec = ObjectSpec.open(program.with_suffix(".o"))
    assert (spec.programs, spec.maps) == ({"f": "kprobe"}, {"counts": 10240})


def test_or_where_it_is_told(rtrace: Call, program: Path) -> None:
    folder, output = program.parent, program.parent / "a b.o"
    assert rtrace("compile", str(program), "-I", str(folder / "include"), "-o", str(output), "--", "-DFLAG=2")[0] == 0
    assert output.read_bytes().startswith(b"\x7fELF")


def test_errors_show_their_place(rtrace: Call, program: Path) -> None:
    status, out, err = rtrace("compile", str(program), "-I", str(program.parent / "include"))
    assert (status, out) == (1, "")
    assert f"error: compile `{program}`: 3:43: use of undeclared identifier 'FLAG'\n" in err
    assert not program.with_suffix(".o").exists()


def test_what_cannot_be_a_program(rtrace: Call, program: Path) -> None:
    assert "No such file" in rtrace("compile", str(program) + "x")[2]
    assert "the object would replace the program" in rtrace("compile", str(program), "-o", str(program))[2]
    program.write_bytes(b"\xff\xfe")
    assert "1:1: a byte that is no UTF-8" in rtrace("compile", str(program))[2]
