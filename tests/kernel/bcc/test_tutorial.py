"""The tutorial's three programs, run as scripts for bcc: a histogram by kprobes, and two on the trace pipe."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rtrace.bcc import BPF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Reader

SCRIPTS = Path(__file__).resolve().parents[2] / "data" / "bcc"


@contextlib.contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script until the end of the block, as Ctrl-C ends it."""
    command = [sys.executable, "-m", "rtrace.bcc", str(SCRIPTS / script), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        yield child
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.read() == ""
        assert child.wait() == 0


def lines(child: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines as they come."""
    assert child.stdout is not None
    yield from iter(child.stdout.readline, "")


def test_vfsreadlat_prints_a_histogram(needs: Callable[..., None], reader: Reader) -> None:
    def attach() -> None:
        with BPF(text="int on_entry(struct pt_regs *ctx) { return 0; }") as b:
            b.attach_kprobe(event="vfs_read", fn_name="on_entry")

    needs(attach, since=(4, 17), option="CONFIG_KPROBES")
    with running("vfsreadlat.py", "1", "1") as child:
        shown = lines(child)
        assert next(shown) == "Tracing... Hit Ctrl-C to end.\n"
        while child.poll() is None:
            reader.read(100)
        blank, header, *rows = [line.rstrip("\n") for line in shown]
    assert (blank, header) == ("", "     usecs               : count     distribution")
    counts = [re.fullmatch(r" *(\d+) -> (\d+) +: (\d+) +\|(\**) *\|", row) for row in rows]
    assert all(counts)
    assert sum(int(count[3]) for count in counts if count) > 100
    assert [int(count[2]) for count in counts if count] == [2 ** (slot + 1) - 1 for slot in range(len(rows))]


def test_who_copies_how_many_bytes(tmp_path: Path) -> None:
    sizes = [101 + number for number in range(7)]
    with (
        running("sendfile.py", str(os.getpid())) as child,
        (tmp_path / "copy").open("wb") as copy,
        Path(__file__).open("rb") as file,
    ):
        shown = lines(child)
        assert next(shown) == "TIME(s)            COMM             PID    BYTES\n"
        for size in sizes:
            os.sendfile(copy.fileno(), file.fileno(), 0, size)
        ours: list[int] = []
        while len(ours) < len(sizes):
            line = next(shown)
            # The kernel's log is everybody's.
            found = re.fullmatch(r"(\d+\.\d{9}) +(.+?) +(\d+) +(.*)\n", line)
            assert found, line
            if int(found[3]) == os.getpid():
                ours.append(int(found[4]))
    assert ours == sizes


def test_disksnoop_shows_a_write_of_known_size(disk_file: Path) -> None:
    size = 12288
    with running("disksnoop.py") as child:
        shown = lines(child)
        assert next(shown) == "TIME(s)            T  BYTES    LAT(ms)\n"
        descriptor = os.open(disk_file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        try:
            with mmap.mmap(-1, size) as aligned:
                # One would do on a quiet machine; on a busy one tracepoints miss some.
                for number in range(10):
                    os.pwrite(descriptor, aligned, number * size)
        finally:
            os.close(descriptor)
        for line in shown:
            found = re.fullmatch(r"(\d+\.\d{9}) +([A-Z]) +(\d+) +(\d+\.\d\d)\n", line)
            assert found, line
            if (found[2], int(found[3])) == ("W", size):
                break
