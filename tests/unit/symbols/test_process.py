"""Names of addresses in other processes, which tell those addresses themselves."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtrace import _rtrace
from rtrace.errors import SymbolError
from tests.child import Child
from tests.unit.symbols.programs import FUNCTIONS, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = (
    FUNCTIONS
    + """
#ifdef PROGRAM
#include <stdio.h>
#include <dlfcn.h>
int main(void)
{
    static char line[4096];
    void *library;
    setvbuf(stdout, 0, _IONBF, 0);
    printf("%p %p %p %p %p\\n", (void *)hidden, (void *)visible, (void *)area, (void *)&variable, (void *)&zero);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\\n")] = 0;
#ifndef ALONE
        library = dlopen(line, RTLD_NOW);
        printf("%p\\n", library ? dlsym(library, "visible") : 0);
#endif
    }
    return 0;
}
#endif
"""
)
KINDS = {
    "pie": ("-fPIE", "-pie"),
    "fixed": ("-fno-pie", "-no-pie"),
    "static": ("-static", "-DALONE"),
    "static-pie": ("-static-pie", "-fPIE", "-DALONE"),
}


class Program(Child):
    """A running program and the addresses that it told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, text=True)
        self.path = path
        names = ("hidden", "visible", "area", "variable", "zero")
        self.addresses = dict(zip(names, [int(word, 16) for word in self.read().split()], strict=True))

    def read(self) -> str:
        return str(self.output.readline())

    def load(self, library: Path) -> int:
        """Have it load a library; returns where its function `visible` is."""
        self.input.write(f"{library}\n")
        self.input.flush()
        return int(self.read(), 16)


@pytest.fixture
def run() -> Iterator[Callable[[Path], Program]]:
    running: list[Program] = []

    def start(path: Path) -> Program:
        running.append(Program(path))
        return running[-1]

    yield start
    for program in running:
        if program.process.returncode is None:
            program.end()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("programs")
    source = "#include <string.h>\n" + SOURCE
    built = {kind: build(folder / kind, source, "-DPROGRAM", *flags) for kind, flags in KINDS.items()}
    return built | {"library": build(folder / "libshape.so", SOURCE, "-shared", "-fPIC")}


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_addresses(kind: str, programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    program = run(programs[kind])
    path = str(program.path)
    symbols = _rtrace.ProcessSymbols(program.pid)
    at = program.addresses
    assert symbols.resolve(at["hidden"]) == ("hidden", path, 0)
    assert symbols.resolve(at["visible"] + 3) == ("visible", path, 3)
    assert symbols.resolve(at["area"] + 1) == ("shape::circle::area(double)", path, 1)
    assert symbols.resolve(at["area"], demangle=False) == ("_ZN5shape6circle4areaEd", path, 0)
    for name in ("hidden", "visible", "variable", "zero"):
        assert symbols.address(path, name) == at[name]
        assert symbols.address(program.path.name, name) == at[name]
    assert symbols.address(path, "no_such_name") is None
    assert symbols.address("no_such_file", "visible") is None
    assert symbols.resolve(1) is None
    assert symbols.resolve(at["variable"]) is None


def test_many_addresses_are_one_call(programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    program = run(programs["pie"])
    symbols = _rtrace.ProcessSymbols(program.pid)
    start = program.addresses["hidden"]
    addresses = np.arange(start - 64, start + 256, dtype=np.uint64)
    one_by_one = [symbols.resolve(int(address)) for address in addresses]
    assert symbols.resolve_many(addresses) == one_by_one
    assert symbols.resolve_many(addresses[::2]) == one_by_one[::2]
    assert symbols.resolve_many([start]) == [("hidden", str(program.path), 0)]
    mangled = [found[0] for found in symbols.resolve_many([program.addresses["area"]], demangle=False) if found]
    assert mangled == ["_ZN5shape6circle4areaEd"]


def test_a_library_that_is_loaded_later(programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    program = run(programs["pie"])
    symbols = _rtrace.ProcessSymbols(program.pid)
    library = programs["library"]
    assert symbols.address("shape", "visible") is None
    address = program.load(library)
    # Nothing is known at that address, so the process is looked at again.
    assert symbols.resolve(address + 1) == ("visible", str(library), 1)
    assert not symbols.refresh()
    assert symbols.address("shape", "visible") == address
    assert symbols.address(str(program.path), "visible") == program.addresses["visible"]
    named = symbols.address("shape", "hidden")
    assert named is not None
    assert symbols.resolve(named) == ("hidden", str(library), 0)


def test_refresh_finds_what_is_loaded_later(programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    program = run(programs["pie"])
    symbols = _rtrace.ProcessSymbols(program.pid)
    address = program.load(programs["library"])
    assert symbols.refresh()
    assert symbols.address("libshape.so", "visible") == address


def test_another_file_at_the_path_lends_no_names(
    programs: dict[str, Path], run: Callable[[Path], Program], tmp_path: Path
) -> None:
    path = Path(shutil.copy(programs["pie"], tmp_path / "program"))
    program = run(path)
    other = build(tmp_path / "other", "int wrong(void) { return 1; } int main(void) { return wrong(); }")
    other.replace(path)
    symbols = _rtrace.ProcessSymbols(program.pid)
    found = symbols.resolve(program.addresses["hidden"] + 2)
    assert found is not None
    # The kernel remembers the file, but does not give it to everybody.
    assert found[0] == ("hidden" if os.geteuid() == 0 else None)
    assert found[1] == str(path)


def test_what_is_known_of_a_process_stays_when_it_ends(
    programs: dict[str, Path], run: Callable[[Path], Program]
) -> None:
    program = run(programs["pie"])
    symbols = _rtrace.ProcessSymbols(program.pid)
    address = program.addresses["visible"]
    assert symbols.resolve(address) is not None
    assert not symbols.has_ended
    program.end()
    assert symbols.has_ended
    assert not symbols.refresh()
    assert symbols.resolve(address) == ("visible", str(program.path), 0)
    with pytest.raises(SymbolError, match=f"process {program.pid} has mapped: no such process"):
        _rtrace.ProcessSymbols(program.pid)


def test_what_a_compiler_has_made_at_run_time(programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    program = run(programs["pie"])
    symbols = _rtrace.ProcessSymbols(program.pid)
    path = Path(f"/tmp/perf-{program.pid}.map")  # noqa: S108  # the place is perf's
    try:
        path.write_text("10000 20 Lshop;::buy (int)\n10020 8 sell\n")
        symbols.refresh()
        assert symbols.resolve(0x10004) == ("Lshop;::buy (int)", str(path), 4)
        assert symbols.resolve(0x10027) == ("sell", str(path), 7)
        assert symbols.resolve(0x10028) is None
        path.write_text("10000 20 other\n")
        os.utime(path, ns=(1, 1))
        symbols.refresh()
        assert symbols.resolve(0x10004) == ("other", str(path), 4)
        # Files have precedence: nobody can rename their functions.
        path.write_text(f"{program.addresses['visible']:x} 1000 fake\n")
        symbols.refresh()
        assert symbols.resolve(program.addresses["visible"]) == ("visible", str(program.path), 0)
    finally:
        path.unlink()


def test_the_library_of_the_kernel(programs: dict[str, Path], run: Callable[[Path], Program]) -> None:
    symbols = _rtrace.ProcessSymbols(run(programs["pie"]).pid)
    address = symbols.address("[vdso]", "__vdso_clock_gettime")
    assert address is not None
    found = symbols.resolve(address + 1)
    assert found is not None
    assert found[1:] == ("[vdso]", 1)
    assert "clock_gettime" in (found[0] or "")


def test_ourselves() -> None:
    symbols = _rtrace.ProcessSymbols(os.getpid())
    address = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p).value
    assert address is not None
    found = symbols.resolve(address)
    assert found is not None
    assert found[0] in {"getppid", "__getppid", "__GI_getppid"}
    assert found[2] == 0
    assert symbols.pid == os.getpid()
