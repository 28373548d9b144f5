"""Names as bcc writes them, in bytes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.bcc import symbols
from rtrace.errors import PrivilegeError, SymbolError
from tests.unit.symbols.programs import build, nm

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = """
long write(int, const void *, unsigned long);
long read(int, void *, unsigned long);
int area(double x) __asm__("_ZN5shape4areaEd");
int area(double x) { return (int)x; }
int start_one(void) { return 1; }
int start_two(void) { return area(2); }
int main(void) { char end; return write(1, "ready\\n", 6) != 6 || read(0, &end, 1) != start_one() || !start_two(); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bcc") / "program", SOURCE, "-Wl,--build-id=0x0123456789abcdef")


@pytest.fixture
def process(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        yield running
        running.communicate(b"y")


def test_the_parts_of_a_name(process: subprocess.Popen[bytes], program: Path) -> None:
    path = os.fsencode(program)
    cache = symbols.SymbolCache(process.pid)
    address = cache.resolve_name(path, b"start_one")
    assert symbols.sym(address + 3, process.pid) == b"start_one"
    assert symbols.sym(address + 3, process.pid, show_offset=True) == b"start_one+0x3"
    assert symbols.sym(address + 3, process.pid, show_module=True) == b"start_one [program]"
    assert symbols.sym(address, process.pid, True, True) == b"start_one+0x0 [program]"  # noqa: FBT003  # as scripts do
    assert cache.resolve(address + 3) == (b"start_one", 3, path)
    area = cache.resolve_name("program", "_ZN5shape4areaEd")
    assert symbols.sym(area, process.pid) == b"shape::area(double)"
    assert symbols.sym(area, process.pid, demangle=False) == b"_ZN5shape4areaEd"


def test_what_has_no_name(process: subprocess.Popen[bytes], program: Path) -> None:
    assert symbols.sym(0x123, process.pid, show_module=True, show_offset=True) == b"[unknown]"
    cache = symbols.SymbolCache(process.pid)
    assert cache.resolve(0x123) == (None, 0x123, None)
    assert cache.resolve_name(os.fsencode(program), b"no_such_name") == -1
    # Between the last function and the end of the code there is only the file.
    start = next(line for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines() if "r-xp" in line)
    end = int(start.split()[0].split("-")[1], 16)
    assert symbols.sym(end - 1, process.pid, show_module=True, show_offset=True) == b"[unknown] [program]"
    assert cache.resolve(end - 1)[0] is None
    assert symbols.sym(0x1234, 2**22 + 1) == b"[unknown]"


def test_a_process_is_remembered_when_it_has_ended(program: Path) -> None:
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        address = symbols.symbol_cache(running.pid).resolve_name(None, "start_two")
        assert symbols.sym(address, running.pid) == b"start_two"
        running.communicate(b"y")
    cache = symbols.symbol_cache(running.pid)
    assert cache.has_ended
    assert symbols.sym(address, running.pid) == b"start_two"
    assert symbols.symbol_cache(running.pid) is cache


def test_functions_of_a_file(program: Path) -> None:
    known = nm(program)
    names = {b"start_one": known["start_one"], b"start_two": known["start_two"]}
    assert symbols.get_user_functions(os.fsencode(program), b"start_") == set(names)
    assert symbols.get_user_functions(str(program), "start_o") == {b"start_one"}
    assert symbols.get_user_functions(str(program), "one") == set()
    assert symbols.get_user_addresses(str(program), b"start_(one|two)$") == set(names.values())
    assert dict(symbols.get_user_functions_and_addresses(str(program), "start")) == names
    assert b"malloc" in symbols.get_user_functions("c", "malloc$")
    with pytest.raises(SymbolError):
        symbols.get_user_functions("/no/such/file", ".*")


def test_addresses_by_build_id(program: Path, tmp_path: Path) -> None:
    offset = dict(_rtrace.elf_functions(program))["start_two"] + 1
    build_id = bytes.fromhex("0123456789abcdef").ljust(20, b"\0")
    address = SimpleNamespace(status=1, build_id=build_id, offset=offset)
    symbols.add_module(os.fsencode(program))
    assert symbols.sym(address, -1, show_module=True, show_offset=True) == b"start_two+0x1 [program]"
    other = SimpleNamespace(status=1, build_id=b"\1" * 20, offset=offset)
    assert symbols.sym(other, -1, show_module=True, show_offset=True) == b"[unknown]"
    plain = build(tmp_path / "plain", "int main(void) { return 0; }", "-Wl,--build-id=none")
    with pytest.raises(SymbolError, match="it has none"):
        symbols.add_module(str(plain))


def test_libraries_and_programs() -> None:
    library = symbols.find_library(b"c")
    assert library == os.fsencode(_rtrace.find_library("c") or "")
    assert symbols.find_library("c", os.getpid()) is not None
    assert symbols.find_library("no_such_library") is None
    assert symbols.find_exe(b"sh") == symbols.find_exe("sh")
    assert (symbols.find_exe("sh") or b"").endswith(b"/sh")
    assert symbols.find_exe("no_such_program") is None


def test_a_kernel_that_hides_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        message = "read /proc/kallsyms: the kernel hides its addresses"
        raise PrivilegeError(message)

    monkeypatch.setattr(_rtrace, "KernelSymbols", refuse)
    with pytest.warns(RuntimeWarning, match="hides its addresses; kernel functions will be"):
        cache = symbols.SymbolCache(-1)
    assert cache.resolve(0xFFFF_FFFF_8100_0000) == (None, 0xFFFF_FFFF_8100_0000, None)
    # Names are never hidden: scripts ask for them to find out what the kernel has.
    assert cache.resolve_name(None, b"vfs_read") == 0
    assert cache.resolve_name(None, b"no_such_function") == -1
