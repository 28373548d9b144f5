"""Objects compiled on another kernel (`make objects`) count exactly here, with no compiler."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF
from tests.vm.objects import KERNEL, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Reader

READS = 31
WRITES = 13
# Nobody else's: eleven pages.
SIZE = 45056


@pytest.fixture
def needs_kprobes(needs: Callable[..., None]) -> None:
    """Skip where the kernel has no kprobes."""

    def attach() -> None:
        with load("vfsreadlat.o") as b:
            b.attach_kprobe(event="vfs_read", fn_name="on_entry")

    needs(attach, since=(4, 17), option="CONFIG_KPROBES")


def load(name: str) -> BPF:
    """Load an object, where no compiler can be found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.devnull)
        patch.setenv("RTRACE_CLANG", os.devnull)
        return BPF(obj_file=OBJECTS / name)


def write(path: Path) -> None:
    """Write to the disk, past the cache, so many times."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    try:
        with mmap.mmap(-1, SIZE) as aligned:
            for number in range(WRITES):
                os.pwrite(descriptor, aligned, number * SIZE)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["vfsreadlat.o", "disksnoop.o", "moved.o"])
def test_they_say_where_they_come_from(name: str) -> None:
    said = re.findall(rb"([\d.]+)\S* x86_64 [0-9a-f]{40}\0", (OBJECTS / name).read_bytes())
    assert [release.startswith(f"{KERNEL}.".encode()) for release in said] == [True]


def test_every_read_with_what_the_kernel_says_of_its_thread(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[Any, ...]] = []
    with load("moved.o") as b:
        events = b["events"]

        def take(_cpu: int, data: int, _size: int) -> None:
            event = events.event(data)
            seen.append((event.size, event.tgid, event.tid, event.parent, event.uid, event.comm))

        events.open_perf_buffer(take)
        b["target"][0] = b["target"].Leaf(reader.tid)
        reader.read(READS)
        b.perf_buffer_consume()
        b["dist"].print_log2_hist("bytes")
    comm = Path(f"/proc/self/task/{reader.tid}/comm").read_bytes().rstrip(b"\n")
    assert seen == [(1, os.getpid(), reader.tid, os.getppid(), os.getuid(), comm)] * READS
    header, row = capsys.readouterr().out.splitlines()
    assert header == "     bytes               : count     distribution"
    assert row == f"{0:10d} -> {1:<10d} : {READS:<8d} |{'*' * 40}|"


def test_every_write_by_tracepoints_whose_fields_have_moved(disk_file: Path) -> None:
    with load("moved.o") as b:
        write(disk_file)
        done = [(key, count.value) for key, count in b["writes"].items()]
        # The kernel does not run a program for what interrupts another one: a completion may be missing.
        under_way = [(request, 1) for request in b["issued"].values()]

    def is_ours(request: Any) -> bool:
        if chr(request.kind) != "W":
            return False
        if disk_file.is_block_device():
            # Older kernels issue requests from a thread of their own.
            device = disk_file.stat().st_rdev
            return bool(request.dev == os.major(device) << 20 | os.minor(device))
        comm = Path("/proc/self/comm").read_bytes().rstrip(b"\n")
        return bool(request.tid == os.getpid() and request.comm == comm)

    # A file may lie in pieces, and its writes be requests for each.
    assert sum(request.bytes * count for request, count in done + under_way if is_ours(request)) == WRITES * SIZE
    assert any(is_ours(request) for request, _ in done)


@pytest.mark.usefixtures("needs_kprobes")
def test_the_tutorials_histogram(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    with load("vfsreadlat.o") as b:
        b.attach_kprobe(event="vfs_read", fn_name="on_entry")
        b.attach_kretprobe(event="vfs_read", fn_name="on_return")
        reader.read(READS)
        b["latencies"].print_log2_hist("usecs")
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "     usecs               : count     distribution"
    counts = [re.fullmatch(r" *\d+ -> \d+ +: (\d+) +\|\**[ ]*\|", row) for row in rows]
    # Of every process.
    assert sum(int(count[1]) for count in counts if count) >= READS


@pytest.mark.usefixtures("needs_kprobes")
def test_the_tutorials_disk_requests(disk_file: Path) -> None:
    with load("disksnoop.o") as b:
        b.attach_kprobe(event="blk_mq_start_request", fn_name="trace_start")
        b.attach_kprobe(event="blk_mq_end_request", fn_name="trace_completion")
        write(disk_file)
        found = 0
        while found < WRITES:
            _, _, _, _, _, message = b.trace_fields()
            assert message is not None
            size, flags, _ = message.split()
            # REQ_OP_WRITE is 1, in the low bits.
            found += int(size) == SIZE and int(flags, 16) & 0xFF == 1
        # One more would come first.
        assert b.trace_fields(nonblocking=True) == (None,) * 6
