"""Uprobes on a program of our own: its function is at an offset that we know, and called as often as we say."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rtrace.errors import AttachError, TargetNotFoundError
from tests.kernel.c_programs import compile_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rtrace._rtrace import Object

SOURCE = """
LICENSE;
COUNTERS
SEC("uprobe/entry") int entry(void *ctx) { COUNT(0); return 0; }
SEC("uretprobe/back") int back(void *ctx) { COUNT(1); return 0; }
SEC("kprobe/x") int probe(void *ctx) { COUNT(2); return 0; }
"""

# A shared library whose function does what its semaphore says; the counter is where a USDT probe's would be.
LIBRARY = """
volatile unsigned short semaphore __attribute__((section(".probes"))) = 0;
int __attribute__((noinline)) traced(int number) { return number + semaphore; }
int call(int times) { int sum = 0; for (int i = 0; i < times; i++) sum += traced(0); return sum; }
"""


class Library:
    """A library in memory and on disk, with the offsets of its symbols in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.call = ctypes.CDLL(str(path)).call

    def offset(self, symbol: str) -> int:
        """Return where in the file a symbol's bytes are, from readelf's tables of symbols and segments."""
        tables = {"symbols": ["--dyn-syms"], "segments": ["-l"]}
        text = {
            name: subprocess.run(
                ["readelf", "-W", *flags, self.path], check=True, capture_output=True, text=True
            ).stdout.splitlines()
            for name, flags in tables.items()
        }
        address = next(int(line.split()[1], 16) for line in text["symbols"] if line.split()[-1:] == [symbol])
        for line in text["segments"]:
            fields = line.split()
            if fields[:1] == ["LOAD"]:
                offset, virtual, _, size = (int(field, 16) for field in fields[1:5])
                if virtual <= address < virtual + size:
                    return address - virtual + offset
        raise LookupError(symbol)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    path = tmp_path_factory.mktemp("library") / "traced.so"
    compiler = ["clang", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(path)]
    subprocess.run(compiler, input=LIBRARY.encode(), check=True)
    return Library(path)


@pytest.fixture
def loaded() -> Iterator[Object]:
    with compile_c(SOURCE).load({"entry": None, "back": None, "probe": None}) as made:
        yield made


@pytest.fixture
def counts(loaded: Object) -> Callable[[], list[int]]:
    return lambda: [int(loaded.map("counts").lookup(index)) for index in range(3)]


def test_entries_and_returns_are_counted_exactly(
    loaded: Object, library: Library, counts: Callable[[], list[int]]
) -> None:
    offset = library.offset("traced")
    with loaded.attach_uprobe("entry", library.path, offset) as entry:
        assert (entry.kind, entry.target) == ("uprobe", f"{library.path}:{offset:#x}")
        library.call(101)
        assert counts() == [101, 0, 0]
        # A program in a section for returns is for returns; others are, if one says so.
        with loaded.attach_uprobe("back", library.path, offset) as back:
            assert back.kind == "uretprobe"
            with loaded.attach_uprobe("probe", str(library.path), offset, at_return=True):
                library.call(103)
    library.call(107)
    assert counts() == [204, 103, 103]


def test_one_process_only(loaded: Object, library: Library, counts: Callable[[], list[int]]) -> None:
    offset = library.offset("traced")
    code = f"import ctypes; input(); ctypes.CDLL({str(library.path)!r}).call(11)"
    child = subprocess.Popen(["/usr/bin/env", "python3", "-c", code], stdin=subprocess.PIPE)
    with loaded.attach_uprobe("entry", library.path, offset, pid=child.pid):
        library.call(101)
        child.communicate(b"\n")
    assert counts() == [11, 0, 0]
    assert child.returncode == 0


def test_a_semaphore_is_up_while_the_probe_is_there(loaded: Object, library: Library) -> None:
    semaphore = library.offset("semaphore")
    assert library.call(7) == 0
    with loaded.attach_uprobe("entry", library.path, library.offset("traced"), semaphore_offset=semaphore):
        assert library.call(7) == 7
    assert library.call(7) == 0


def test_what_is_not_there_is_told(loaded: Object, library: Library) -> None:
    with pytest.raises(TargetNotFoundError, match="attach uprobe to `/no/such:0x10`: no such file"):
        loaded.attach_uprobe("entry", "/no/such", 0x10)
    with pytest.raises(TargetNotFoundError, match="no such process"):
        loaded.attach_uprobe("entry", library.path, library.offset("traced"), pid=2**22 + 1)
    with pytest.raises(TargetNotFoundError, match="does not allow a probe there"):
        loaded.attach_uprobe("entry", library.path, 1 << 40)
    with pytest.raises(ValueError, match="beyond 4 GiB"):
        loaded.attach_uprobe("entry", library.path, library.offset("traced"), semaphore_offset=1 << 32)
    with pytest.raises((AttachError, ValueError)):
        loaded.attach_uprobe("entry", "/tmp\0", 0)  # noqa: S108


def test_a_program_of_another_kind_is_refused(loaded: Object, library: Library) -> None:
    loaded.load_program("probe", kind="raw tracepoint")
    with pytest.raises(TypeError, match="`probe` is for a raw tracepoint, not for a kprobe or kretprobe or uprobe"):
        loaded.attach_uprobe("probe", library.path, library.offset("traced"))


def test_without_cap_sys_admin_it_works_or_the_error_says_so(library: Library) -> None:
    """Linux 6.16 asks for it, as do older ones with the updates of then."""
    script = f"""if True:
        import rtrace
        from tests.kernel.c_programs import compile_c
        from tests.kernel.test_attach_uprobe import SOURCE
        with compile_c(SOURCE).load({{"entry": None}}) as loaded:
            try:
                loaded.attach_uprobe("entry", {str(library.path)!r}, {library.offset("traced")}).close()
            except rtrace.PrivilegeError as error:
                assert error.missing == ("CAP_SYS_ADMIN",), (error, error.hint)
                assert "CAP_SYS_ADMIN" in error.hint
    """
    kept = "-all,+bpf,+perfmon,+dac_override"
    command = ["setpriv", "--bounding-set", kept, "--inh-caps", kept, sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
