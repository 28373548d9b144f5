"""Names and probes of processes that see other files than we do under the same paths, as those in containers do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import BPF, SymbolCache
from tests.child import Child
from tests.unit.symbols.programs import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is ours and what is theirs have the same path in the first way; at the place of `ring` ours has `outside`.
OURS = "int outside(int n) { return n + 1; } int ring(int n) { return n + 2; }"
THEIRS = "int ring(int n) { return n + 3; } int only_inside(int n) { return ring(n) + 1; }"
PROGRAM = """
#include <stdio.h>
#include <unistd.h>
int ring(int), only_inside(int);
int main(void)
{
    char byte;
    setvbuf(stdout, 0, _IONBF, 0);
    printf("%lu %lu\\n", (unsigned long)ring, (unsigned long)only_inside);
    while (read(0, &byte, 1) == 1) {
        only_inside(byte);
        write(1, &byte, 1);
    }
    return 0;
}
"""


class Till(Child):
    """A process in a mount namespace of its own, whose library we see another file for, or none."""

    def __init__(self, command: list[str | Path], library: str) -> None:
        super().__init__(*command, bufsize=0)
        self.library = library
        self.ring, self.only_inside = map(int, self.output.readline().split())

    def call(self, times: int) -> None:
        for _ in range(times):
            self.input.write(b"x")
            assert self.output.read(1) == b"x"


def over_ours(folder: Path) -> Till:
    """Mount their library over ours."""
    library = folder / "libtill.so"
    theirs = build(folder / "theirs.so", THEIRS, "-shared", "-fPIC")
    shutil.copy(theirs, library)
    program = build(folder / "till", PROGRAM, f"-L{folder}", "-ltill", f"-Wl,-rpath,{folder}")
    build(library, OURS, "-shared", "-fPIC")
    script = 'mount --bind "$1" "$2" && exec "$3"'
    return Till(["unshare", "--mount", "sh", "-c", script, "sh", theirs, library, program], str(library))


def root_of_their_own(folder: Path) -> Till:
    """Give them a root folder with a C library of their own."""
    (folder / "opt").mkdir()
    library = build(folder / "opt" / "libtill.so", THEIRS, "-shared", "-fPIC")
    program = build(folder / "till", PROGRAM, f"-L{library.parent}", "-ltill", "-Wl,-rpath,/opt")
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in map(Path, re.findall(r"(/\S*/(?:libc\.so|ld-linux)\S*)", needed)):
        inside = folder / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside)
    return Till(["unshare", "--mount", "chroot", folder, "/till"], "/opt/libtill.so")


@pytest.fixture(params=[over_ours, root_of_their_own])
def till(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Till]:
    make: Callable[[Path], Till] = request.param
    made = make(tmp_path)
    assert Path(f"/proc/{made.pid}/ns/mnt").stat().st_ino != Path("/proc/self/ns/mnt").stat().st_ino
    yield made
    made.end()


def test_names_are_those_of_the_files_that_the_process_sees(till: Till) -> None:
    assert BPF.sym(till.ring, till.pid, show_module=True, show_offset=True) == b"ring+0x0 [libtill.so]"
    assert BPF.sym(till.only_inside + 1, till.pid, show_offset=True) == b"only_inside+0x1"
    cache = SymbolCache(till.pid)
    name, offset, module = cache.resolve(till.ring)
    # As the process's maps have it: from its own root, or from ours where that is no mount.
    assert (name, offset) == (b"ring", 0)
    assert module is not None
    assert module.endswith(os.fsencode(till.library))
    assert cache.resolve_name(module, b"only_inside") == till.only_inside
    assert cache.resolve_name(b"till", b"only_inside") == till.only_inside
    assert cache.resolve_name(module, b"outside") == -1


@pytest.mark.parametrize("by_short_name", [False, True])
def test_probes_are_put_where_the_process_runs(till: Till, by_short_name: bool) -> None:  # noqa: FBT001  # pytest's way
    text = "BPF_ARRAY(count, u64, 1); int enter(struct pt_regs *ctx) { count.increment(0); return 0; }"
    name = "till" if by_short_name else till.library
    with BPF(text=text) as b:
        b.attach_uprobe(name=name, sym="only_inside", fn_name="enter", pid=till.pid)
        b.attach_uretprobe(name=name, sym="ring", fn_name="enter", pid=till.pid)
        till.call(7)
        assert b["count"][0].value == 14
        b.detach_uprobe(name=name, sym="only_inside", pid=till.pid)
        till.call(7)
        assert b["count"][0].value == 21
    found = BPF.find_library("till", till.pid)
    assert found is not None
    # The very file that the process has mapped, by a path of ours.
    assert Path(os.fsdecode(found)).samefile(f"/proc/{till.pid}/root{till.library}")
