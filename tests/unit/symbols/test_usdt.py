"""USDT probes: the notes of a program of our own, and what bcc's scripts are told about them."""

from __future__ import annotations

import os
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.bcc.usdt import USDT, USDTException
from rtrace.errors import SymbolError
from tests.unit.symbols.programs import NOTE, build, file_offset, nm

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SOURCE = (
    NOTE
    + """
unsigned short shop_buy_semaphore __attribute__((section(".probes")));
long counters[4] = {11, 22, 33, 44};
void buy(void)
{
    __asm__ volatile(".globl first\\nfirst: nop\\n"
        NOTE("first", "shop_buy_semaphore", "shop", "buy", "-4@%edi 8@(%rsi,%rdx,8) 8@counters+8(%rip)"));
    __asm__ volatile(".globl second\\nsecond: nop\\n"
        NOTE("second", "shop_buy_semaphore", "shop", "buy", "-4@$42 8@-8(%rsp) 8@%r12"));
}
void sell(void)
{
    __asm__ volatile(".globl third\\nthird: nop\\n" NOTE("third", "0", "shop", "sell", ""));
    /* What a linker leaves of code that it has thrown away. */
    __asm__ volatile(NOTE("0", "0", "shop", "gone", ""));
    __asm__ volatile(".globl fourth\\nfourth: nop\\n" NOTE("fourth", "0", "depot", "sell", "8@%xmm0 1@%ah"));
}
long write(int, const void *, unsigned long);
long read(int, void *, unsigned long);
int main(void) { char end; buy(); sell(); write(1, "ready\\n", 6); return read(0, &end, 1) != 1; }
"""
)
KINDS = {"pie": ("-fPIE", "-pie"), "fixed": ("-fno-pie", "-no-pie")}


@pytest.fixture(scope="module", params=KINDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("usdt") / "shop"
    return build(path, SOURCE, *KINDS[request.param])


def places(probe: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    keys = ("address", "offset", "semaphore", "semaphore_offset")
    return [(place[keys[0]], place[keys[1]], place[keys[2]], place[keys[3]]) for place in probe["locations"]]


def test_probes_are_where_the_linker_put_them(program: Path) -> None:
    known = nm(program)
    probes = _rtrace.usdt_probes(program)
    assert [(probe["provider"], probe["name"]) for probe in probes] == [
        ("shop", "buy"),
        ("shop", "sell"),
        ("depot", "sell"),
    ]
    assert {probe["path"] for probe in probes} == {str(program)}
    semaphore = known["shop_buy_semaphore"]
    listeners = (semaphore, file_offset(program, semaphore))
    assert places(probes[0]) == [
        (known[name], file_offset(program, known[name]), *listeners) for name in ("first", "second")
    ]
    assert places(probes[1]) == [(known["third"], file_offset(program, known["third"]), 0, 0)]
    first, second = (place["arguments"] for place in probes[0]["locations"])
    assert [argument["kind"] for argument in first] == ["register", "memory", "memory"]
    assert [argument["kind"] for argument in second] == ["constant", "memory", "register"]
    assert first[2]["symbol_address"] == known["counters"]
    assert first[2]["displacement"] == 8
    assert probes[2]["locations"][0]["arguments"][0]["kind"] == "unreadable"


def test_segments_that_have_moved_since_take_the_probes_along(program: Path, tmp_path: Path) -> None:
    data = bytearray(program.read_bytes())
    [section] = [line for line in sections(program) if line[0] == ".note.stapsdt"]
    # The first note's second address is where the linker had put `.stapsdt.base`.
    at = section[1] + 12 + 8 + 8
    [base] = struct.unpack_from("<Q", data, at)
    struct.pack_into("<Q", data, at, base + 4)
    moved = tmp_path / "moved"
    moved.write_bytes(data)
    before, after = (_rtrace.usdt_probes(path)[0]["locations"][0] for path in (program, moved))
    assert (after["address"], after["semaphore"]) == (before["address"] - 4, before["semaphore"] - 4)


def sections(path: Path) -> list[tuple[str, int]]:
    """Return names of sections and where they are in the file."""
    lines = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout.splitlines()
    words = [line.split("]", 1)[1].split() for line in lines if line.lstrip().startswith("[") and "]" in line]
    return [(word[0], int(word[3], 16)) for word in words if len(word) > 4 and word[0].startswith(".")]


def test_the_probes_of_a_process_are_at_its_addresses(program: Path) -> None:
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        symbols = _rtrace.ProcessSymbols(process.pid)
        ours = [probe for probe in _rtrace.usdt_probes(pid=process.pid) if probe["provider"] in {"shop", "depot"}]
        assert ours == _rtrace.usdt_probes(program, pid=process.pid)
        assert {probe["path"] for probe in ours} == {str(program)}
        wanted = [symbols.address(str(program), name) for name in ("first", "second")]
        assert [place["loaded_at"] for place in ours[0]["locations"]] == wanted
        process.communicate(b"y")


@pytest.mark.parametrize("path", ["/no/such/file", "/proc/self/status"])
def test_there_is_no_such_program(path: str) -> None:
    with pytest.raises(SymbolError):
        _rtrace.usdt_probes(path)
    with pytest.raises(USDTException, match=f"find USDT probes: .*`{path}`"):
        USDT(path=path)


def test_notes_that_are_cut_off_are_an_error(program: Path, tmp_path: Path) -> None:
    data = program.read_bytes()
    [(_, start)] = [section for section in sections(program) if section[0] == ".note.stapsdt"]
    path = tmp_path / "broken"
    messages = set()
    # Sizes of owner and description, and every byte of the text.
    for at in range(start, start + 120):
        for value in (0, 1, 0x7F, 0xFF):
            broken = bytearray(data)
            broken[at] = value
            path.write_bytes(broken)
            try:
                _rtrace.usdt_probes(path)
            except SymbolError as error:
                messages.add(str(error).partition("malformed ELF: ")[2])
    assert {"a note of a probe is cut off", "a note of a probe is about code that is not in the file"} <= messages


def test_what_bccs_scripts_see(program: Path) -> None:
    known = nm(program)
    context = USDT(path=str(program))
    probes = context.enumerate_probes()
    buy = probes[0]
    assert [probe.short_name() for probe in probes] == ["shop:buy", "shop:sell", "depot:sell"]
    assert (buy.name, buy.provider, buy.bin_path) == (b"buy", b"shop", os.fsencode(program))
    assert (buy.num_locations, buy.num_arguments, buy.semaphore) == (2, 3, known["shop_buy_semaphore"])
    assert str(buy) == f"shop:buy [sema 0x{known['shop_buy_semaphore']:x}]"
    first = buy.get_location(0)
    assert first.address == known["first"]
    assert str(first) == f"{program} {known['first']:#x}"
    assert [str(first.get_argument(index)) for index in range(3)] == [
        "4 signed   bytes @ di",
        "8 unsigned bytes @ *(si + 0 + dx * 8)",
        "8 unsigned bytes @ *(&counters + 8)",
    ]
    second = buy.get_location(1)
    assert [str(second.get_argument(index)) for index in range(3)] == [
        "4 signed   bytes @ 42",
        "8 unsigned bytes @ *(sp - 8)",
        "8 unsigned bytes @ r12",
    ]
    assert str(probes[2].get_location(0).get_argument(0)) == "8 unsigned bytes @ unrecognized: 8@%xmm0"
    for wrong in (buy.get_location, first.get_argument):
        for index in (-1, 3):
            with pytest.raises(USDTException, match=f"{index} of probe `shop:buy`: it has"):
                wrong(index)


def test_enabled_probes(program: Path) -> None:
    known = nm(program)
    context = USDT(path=str(program))
    assert context.get_text() == ""
    assert context.enumerate_active_probes() == []
    context.enable_probe("buy", "on_buy")
    context.enable_probe(b"depot:sell", b"on_sell")
    path = os.fsencode(program)
    assert context.enumerate_active_probes() == [
        (path, b"on_buy", known["first"], -1),
        (path, b"on_buy", known["second"], -1),
        (path, b"on_sell", known["fourth"], -1),
    ]
    assert [context.get_probe_arg_ctype("shop:buy", index) for index in range(3)] == ["int32_t", "uint64_t", "uint64_t"]
    with pytest.raises(USDTException, match="`shop:buy`: it is enabled for `on_buy` already"):
        context.enable_probe("shop:buy", "on_buy")


def test_programs_are_attached_with_their_semaphores(program: Path) -> None:
    attached: list[tuple[Any, ...]] = []

    class Bpf:
        def attach_uprobe_at(self, *facts: Any) -> None:
            attached.append(facts)

    context = USDT(pid=os.getpid(), path=str(program))
    context.enable_probe("buy", "on_buy")
    context.attach_uprobes(Bpf())
    context.attach_uprobes(Bpf(), attach_usdt_ignore_pid=True)
    facts = _rtrace.usdt_probes(program)[0]["locations"]
    wanted = [("p", str(program), one["offset"], "on_buy", os.getpid(), one["semaphore_offset"]) for one in facts]
    assert attached == wanted + [(*one[:4], -1, one[5]) for one in wanted]


def test_probes_that_are_not_there(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = USDT(path=str(program))
    with pytest.raises(USDTException, match="enable probe `bye`: .* has no such USDT probe") as raised:
        context.enable_probe("bye", "f")
    assert raised.value.suggestions == ("buy",)
    assert raised.value.hint == "did you mean buy?"
    with pytest.raises(USDTException, match="several providers") as raised:
        context.enable_probe("sell", "f")
    assert raised.value.suggestions == ("depot:sell", "shop:sell")
    with pytest.raises(USDTException) as raised:
        context.enable_probe("zzzzzzzz", "f")
    assert raised.value.hint == "it has depot:sell, shop:buy, shop:sell"
    with pytest.raises(SystemExit) as ended:
        context.enable_probe_or_bail("bye", "f")
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("has no such USDT probe\nhint: did you mean buy?\n")


def test_neither_process_nor_file() -> None:
    with pytest.raises(USDTException, match="either a pid or a binary path must be specified"):
        USDT()
    with pytest.raises(USDTException, match="no such process"):
        USDT(pid=2**22 + 1)
    with pytest.raises(TypeError):
        _rtrace.usdt_probes()


def test_a_program_without_probes(tmp_path: Path) -> None:
    path = build(tmp_path / "plain", "int main(void) { return 0; }")
    context = USDT(path=str(path))
    assert context.enumerate_probes() == []
    with pytest.raises(USDTException) as raised:
        context.enable_probe("any", "f")
    assert "no USDT probes" in (raised.value.hint or "")
