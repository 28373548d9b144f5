"""Names and places of functions in ELF files, compared with binutils."""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.errors import SymbolError
from tests.unit.symbols.programs import FUNCTIONS, build, file_offset, nm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = (
    FUNCTIONS
    + """
__asm__(".pushsection .text\\n.globl bare\\nbare: nop\\nnop\\nret\\n.popsection");
"""
)
MAIN = SOURCE + "int main(void) { return visible(1) + area(2); }\n"
KINDS = {
    "pie": ("-fPIE", "-pie"),
    "fixed": ("-fno-pie", "-no-pie"),
    "static": ("-static",),
    "separate": ("-fPIE", "-pie", "-Wl,-z,separate-code"),
    "joined": ("-fPIE", "-pie", "-Wl,-z,noseparate-code"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_functions_are_where_nm_and_the_program_headers_say(kind: str, tmp_path: Path) -> None:
    path = build(tmp_path / "program", MAIN, *KINDS[kind])
    known = nm(path)
    functions = dict(_rtrace.elf_functions(path, as_linked=True))
    for name in ("hidden", "visible", "main", "bare", "_ZN5shape6circle4areaEd"):
        assert functions[name] == known[name]
        offset = file_offset(path, known[name])
        assert _rtrace.elf_symbol_offset(path, name) == offset
        assert _rtrace.elf_address_offset(path, known[name]) == offset
    assert "variable" not in functions
    assert _rtrace.elf_symbol_offset(path, "no_such_function") is None
    assert _rtrace.elf_address_offset(path, 1 << 60) is None
    addresses = [address for _, address in _rtrace.elf_functions(path)]
    assert addresses == sorted(addresses)


def test_a_library_that_has_kept_its_exported_names_only(tmp_path: Path) -> None:
    path = build(tmp_path / "lib.so", SOURCE, "-shared", "-fPIC")
    known = nm(path, "-D")
    subprocess.run(["strip", path], check=True)
    functions = dict(_rtrace.elf_functions(path, as_linked=True))
    assert functions["visible"] == known["visible"]
    assert "hidden" not in functions


def test_the_version_that_programs_are_linked_to(tmp_path: Path) -> None:
    source = """
    int old(void) { return 1; }
    int new(void) { return 2; }
    __asm__(".symver old,call@V1\\n.symver new,call@@V2");
    """
    versions = tmp_path / "versions"
    versions.write_text("V1 { global: call; local: *; }; V2 { global: call; } V1;")
    path = build(tmp_path / "lib.so", source, "-shared", "-fPIC", f"-Wl,--version-script={versions}")
    wanted = file_offset(path, nm(path)["new"])
    assert _rtrace.elf_symbol_offset(path, "call") == wanted
    subprocess.run(["strip", path], check=True)
    assert _rtrace.elf_symbol_offset(path, "call") == wanted


def split_off(path: Path, debug: Path) -> None:
    """Move the symbols of a program into a file of their own."""
    subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
    subprocess.run(["strip", path], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", path], check=True)


@pytest.mark.parametrize("build_id", ["sha1", "none"])
@pytest.mark.parametrize("folder", ["", ".debug"])
def test_names_in_a_separate_file(folder: str, build_id: str, tmp_path: Path) -> None:
    flag = f"-Wl,--build-id={build_id}"
    path = build(tmp_path / "program", MAIN, flag)
    wanted = file_offset(path, nm(path)["hidden"])
    home = tmp_path / folder
    home.mkdir(exist_ok=True)
    split_off(path, home / "program.debug")
    assert _rtrace.elf_symbol_offset(path, "hidden") == wanted
    # Names of another build would be wrong ones.
    other = build(tmp_path / "other", "int before(void) { return 1; }" + MAIN, flag)
    shutil.copy(other, home / "program.debug")
    assert _rtrace.elf_symbol_offset(path, "hidden") is None


def test_places_have_names(tmp_path: Path) -> None:
    path = build(tmp_path / "program", MAIN, "-Wl,--build-id=0x0123456789abcdef")
    symbols = _rtrace.FileSymbols(path)
    assert symbols.build_id == bytes.fromhex("0123456789abcdef")
    offsets = dict(_rtrace.elf_functions(path))
    assert symbols.resolve(offsets["hidden"]) == ("hidden", 0)
    assert symbols.resolve(offsets["visible"] + 2) == ("visible", 2)
    # Nobody said how long it is.
    assert symbols.resolve(offsets["bare"] + 2) == ("bare", 2)
    mangled = "_ZN5shape6circle4areaEd"
    assert symbols.resolve(offsets[mangled] + 1) == ("shape::circle::area(double)", 1)
    assert symbols.resolve(offsets[mangled], demangle=False) == (mangled, 0)
    assert symbols.resolve(1 << 40) is None


@pytest.mark.parametrize(
    ("path", "cause"),
    [("/no/such/file", "no such file"), ("/proc/self/status", "not an ELF file"), ("/dev/null", "not a regular file")],
)
def test_what_is_no_program_is_an_error(path: str, cause: str) -> None:
    asks: list[Callable[[str], object]] = [
        _rtrace.elf_functions,
        _rtrace.FileSymbols,
        _rtrace.usdt_probes,
        lambda path: _rtrace.elf_symbol_offset(path, "f"),
        lambda path: _rtrace.elf_address_offset(path, 0),
    ]
    for ask in asks:
        with pytest.raises(SymbolError, match=cause) as raised:
            ask(path)
        assert f"`{path}`" in str(raised.value)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.unit.symbols.programs import NOTE

    source = (
        NOTE + 'int f(void) { __asm__("1: nop\\n" NOTE("1b", "0", "p", "n", "-4@%eax 8@g(%rip)")); return 1; } int g;'
    )
    flags = ("-nostdlib", "-shared", "-fPIC", "-Wl,-z,noseparate-code", "-Wl,--hash-style=gnu", "-Wl,--build-id")
    path = build(tmp_path_factory.mktemp("elf") / "smallest.so", source, *flags)
    assert [probe["name"] for probe in _rtrace.usdt_probes(path)] == ["n"]
    return path.read_bytes()


def ask_everything(path: Path) -> bool:
    """Ask all there is to ask; whether there was an answer to anything."""
    answered = False
    for ask in (
        lambda: _rtrace.elf_functions(path),
        lambda: _rtrace.elf_symbol_offset(path, "f"),
        lambda: _rtrace.usdt_probes(path),
        lambda: _rtrace.FileSymbols(path).resolve(0x1000),
    ):
        try:
            ask()
        except SymbolError:
            continue
        answered = True
    return answered


def test_files_that_are_cut_off(smallest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    assert len(smallest) < 20_000
    answers = 0
    with path.open("wb") as file:
        file.write(smallest)
        for length in range(len(smallest) - 1, -1, -1):
            file.truncate(length)
            answers += ask_everything(path)
    # Section headers are at the very end: hardly anything is left without the last of them.
    assert answers < 100


def test_files_with_wrong_bytes(smallest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong"
    choose = random.Random(20240607)  # noqa: S311  # the same ones each time
    for _ in range(1000):
        data = bytearray(smallest)
        for _ in range(choose.randint(1, 8)):
            at = choose.choice(
                [choose.randrange(len(data)), choose.randrange(64), len(data) - 1 - choose.randrange(900)]
            )
            data[at] = choose.choice([0, 1, 0x7F, 0x80, 0xFF, choose.randrange(256)])
        path.write_bytes(data)
        ask_everything(path)
