"""Several USDT contexts with one function: its readers are written once, and know whose probe fires."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.bcc.source import read_source
from rtrace.bcc.usdt import USDT, USDTException, contexts_text
from tests.child import Child
from tests.unit.symbols.programs import nm
from tests.unit.symbols.test_usdt_text import Reader, program

if TYPE_CHECKING:
    from pathlib import Path


def enabled(path: Path, *probes: str) -> USDT:
    context = USDT(path=str(path))
    for probe in probes:
        context.enable_probe(probe, "f")
    return context


def test_two_contexts_of_one_program(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("here", "p", "8@%rdi 8@place(%rip)"), ("here+1", "q", "8@%rsi")])
    text = contexts_text([enabled(path, "p"), enabled(path, "p")])
    assert text == enabled(path, "p").get_text()
    assert re.findall(r"_bpf_readarg_\w+", text) == ["_bpf_readarg_f_1", "_bpf_readarg_f_2"]
    # One probe more in one of them.
    reader = Reader(tmp_path, contexts_text([enabled(path, "p"), enabled(path, "p", "q")]), "x86", 2)
    here = nm(path)["here"]
    assert reader.read(1, 8, ip=here, di=1, si=2) == (0, 1)
    assert reader.read(1, 8, ip=here + 1, di=1, si=2) == (0, 2)


def test_two_programs_that_have_their_arguments_elsewhere(tmp_path: Path) -> None:
    first = program(tmp_path / "first", [("page+1", "p", "8@%rdi")])
    second = program(tmp_path / "second", [("page+2", "p", "8@%rsi 4@%eax")])
    reader = Reader(tmp_path, contexts_text([enabled(first, "p"), enabled(second, "p")]), "x86", 2)
    assert reader.read(1, 8, ip=nm(first)["page"] + 1, di=1, si=2) == (0, 1)
    assert reader.read(1, 8, ip=nm(second)["page"] + 2, di=1, si=2) == (0, 2)
    assert reader.read(2, 4, ip=nm(second)["page"] + 2, ax=3) == (0, 3)
    assert reader.read(2, 4, ip=nm(first)["page"] + 1, ax=3) == (-2, 0)


def test_two_programs_that_cannot_be_told_apart(tmp_path: Path) -> None:
    contexts = [
        enabled(program(tmp_path / name, [("page", "p", f"8@%{register}")]), "p")
        for name, register in (("first", "rdi"), ("second", "rsi"))
    ]
    with pytest.raises(USDTException, match="read the arguments of probe `t:p`: .* two places .* end alike") as raised:
        contexts_text(contexts)
    assert "pid=" in str(raised.value.hint)


def test_processes_tell_places_apart_whose_addresses_end_alike(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("page", "p", "8@%rdi"), ("next", "p", "8@%rsi")])
    running = [Child(path), Child(path)]
    contexts = [USDT(pid=one.pid) for one in running if one.output.readline() == b"ready\n"]
    for context in contexts:
        context.enable_probe("p", "f")
    reader = Reader(tmp_path, contexts_text(contexts), "x86", 1)
    for one in running:
        page = _rtrace.ProcessSymbols(one.pid).address(None, "page")
        assert page is not None
        assert reader.read(1, 8, ip=page, di=1, si=2) == (0, 1)
        assert reader.read(1, 8, ip=page + 4096, di=1, si=2) == (0, 2)
        one.input.write(b"y")
        one.end()


def test_readers_stand_before_the_source(tmp_path: Path) -> None:
    context = enabled(program(tmp_path / "program", [("here", "p", "8@%rdi")]), "p")
    name, source = read_source(b"", "int f(void *ctx) { return 0; }", [context, context])
    assert name == "<text>"
    assert source == context.get_text() + "int f(void *ctx) { return 0; }"


def test_files_are_named_by_any_bytes() -> None:
    with pytest.raises(USDTException, match="no such file"):
        USDT(path=b"/\xff")
    with pytest.raises(ValueError, match=r"library or program b'\\xff' is no UTF-8"):
        USDT(path=b"\xff")
