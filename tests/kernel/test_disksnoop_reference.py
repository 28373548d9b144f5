"""disksnoop beside bpftrace: the same requests of one dd, seen by two programs at the same time."""

from __future__ import annotations

import mmap
import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import rtrace
from rtrace._rtrace import tracefs
from tests.kernel.conftest import told_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES = 3 * 4096
COUNT = 211
# As many make a median.
FEWEST_IN_COMMON = 20
# Nobody else's name: it confines both programs, in whatever pid namespace.
COMM = "rtrace-dd"
PROGRAM = """
tracepoint:block:block_rq_issue /CONDITION/ {
    @issued[args->dev, args->sector] = 1;
    printf("issue %lu %lu %lu %lu %s\\n", args->dev, args->sector, args->bytes, nsecs, args->rwbs);
}
tracepoint:block:block_rq_complete /@issued[args->dev, args->sector]/ {
    printf("complete %lu %lu %lu %lu\\n", args->dev, args->sector, args->nr_sector * 512, nsecs);
    delete(@issued[args->dev, args->sector]);
}
END { clear(@issued); }
"""
# What lies between the stamps of the two for one hit is the rest of one program and the start of the other:
# microseconds, a few hundred of them in an emulated guest. Interrupts make single ones longer, so it is for the median.
TYPICAL_GAP_NS = 1_000_000


class Reference:
    """bpftrace while it runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.text = b""

    def says_something(self, seconds: float) -> bool:
        """Wait so long for more text."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        more = os.read(self.process.stdout.fileno(), 1 << 16)
        assert more, f"bpftrace ended: {self.text!r}"
        self.text += more
        return True

    def rows(self, what: bytes) -> list[list[bytes]]:
        return [line.split()[1:] for line in self.text.splitlines() if line.startswith(what)]

    def end(self) -> None:
        """Let it print the rest."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=60)
        self.text += rest


@contextmanager
def reference(disk_file: Path, folder: Path) -> Iterator[Reference]:
    """Run bpftrace, which wants a mounted tracefs: in a mount namespace of its own, where there is none."""
    condition = f'comm == "{COMM}"'
    if disk_file.is_block_device():
        # Nobody else's; older kernels issue its requests from a thread of their own.
        device = disk_file.stat().st_rdev
        condition = f"args->dev == {os.major(device) << 20 | os.minor(device)}"
    program = folder / "requests.bt"
    program.write_text(PROGRAM.replace("CONDITION", condition))
    command = ["bpftrace", "-B", "none", str(program)]
    if not tracefs()[1]:
        script = 'mount -t tracefs none /sys/kernel/tracing && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield Reference(process)
    finally:
        process.kill()
        process.communicate()


def wait_until_attached(bpftrace: Reference, file: int) -> None:
    """Make requests of our own, under dd's name, until bpftrace tells of one; those are over then."""
    name = Path("/proc/thread-self/comm")
    before = name.read_text().rstrip("\n")
    name.write_text(COMM)
    deadline = time.monotonic() + 120
    try:
        with mmap.mmap(-1, 4096) as block:
            while len(bpftrace.rows(b"complete")) == 0:
                assert time.monotonic() < deadline, bpftrace.text
                os.pwrite(file, block, 0)
                bpftrace.says_something(0.1)
    finally:
        name.write_text(before)


def test_the_requests_of_dd_are_what_bpftrace_sees(disk_file: Path, tmp_path: Path) -> None:
    dd = tmp_path / COMM
    dd.symlink_to(shutil.which("dd") or "")
    file = os.open(disk_file, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    if disk_file.is_file():
        # Laid out first: otherwise the file system writes of its own to lay it out.
        os.posix_fallocate(file, 0, COUNT * BYTES)
    os.fsync(file)
    device = disk_file.stat().st_rdev
    ours = f'comm == "{COMM}"'
    if disk_file.is_block_device():
        ours = f"dev == {os.major(device) << 20 | os.minor(device)}"
    command = [str(dd), "if=/dev/zero", f"of={disk_file}", f"bs={BYTES}", f"count={COUNT}", "oflag=direct"]
    with reference(disk_file, tmp_path) as bpftrace:
        wait_until_attached(bpftrace, file)
        with rtrace.disksnoop(key="request", filter=f"{ours} and rwbs ~ 'W*'") as recording:
            subprocess.run([*command, "conv=notrunc"], check=True, stderr=subprocess.DEVNULL)
            # By us and not by dd: the file system writes for whoever asks.
            os.fsync(file)
            # A direct write returns when its requests have ended.
            recording.detach()
            records = recording.read(timeout=0)
            missing = told_missing(recording)
        bpftrace.end()
    os.close(file)

    # Every byte that dd wrote, and every request of it once.
    assert (COUNT - missing) * BYTES <= records["bytes"].sum() <= COUNT * BYTES
    keys = list(zip(records["dev"].tolist(), records["sector"].tolist(), strict=True))
    assert len(set(keys)) == len(keys)

    # bpftrace has perf's tracepoints, which miss what happens in the middle of other programs, uncounted: seldom on a
    # quiet machine, most of it on a busy one (it saw 78 of 211 while other tests ran). What it saw must be the same.
    first_ns = int((records["ts_ns"] - records["latency_ns"]).min())
    last_ns = int(records["ts_ns"].max())
    offset_ns = suspended_ns()
    writes = [row for row in bpftrace.rows(b"issue") if row[4].startswith(b"W")]
    issued = stamps(writes, offset_ns)
    completed = stamps(bpftrace.rows(b"complete"), offset_ns)
    both = [record for key, record in zip(keys, records, strict=True) if key in issued and key in completed]
    assert len(both) >= FEWEST_IN_COMMON
    theirs = [row for row in writes if first_ns - TYPICAL_GAP_NS < int(row[3]) - offset_ns < last_ns]
    assert {(int(row[0]), int(row[1])) for row in theirs} <= set(keys)

    start_gaps, end_gaps = [], []
    for record in both:
        key = (int(record["dev"]), int(record["sector"]))
        (issued_bytes, issue_ns), (completed_bytes, complete_ns) = issued[key], completed[key]
        assert int(record["bytes"]) == issued_bytes == completed_bytes
        end_ns = int(record["ts_ns"])
        start_ns = end_ns - int(record["latency_ns"])
        # It was attached first, and the kernel runs what is attached in this order: each of its stamps is the earlier
        # one. So the latencies differ by less than the longer of the two gaps.
        assert issue_ns <= start_ns <= complete_ns <= end_ns
        start_gaps.append(start_ns - issue_ns)
        end_gaps.append(end_ns - complete_ns)
        assert abs(int(record["latency_ns"]) - (complete_ns - issue_ns)) <= max(start_gaps[-1], end_gaps[-1])
    assert np.median(start_gaps) < TYPICAL_GAP_NS
    assert np.median(end_gaps) < TYPICAL_GAP_NS


def stamps(rows: list[list[bytes]], offset_ns: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Return bytes and time of the last request to each place."""
    numbers = [tuple(map(int, row[:4])) for row in rows]
    return {(device, sector): (size, when - offset_ns) for device, sector, size, when in numbers}


def suspended_ns() -> int:
    """Return by how much bpftrace's clock, which goes on in suspension, is ahead of CLOCK_MONOTONIC."""
    ahead = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    # Read one after the other; a suspension is longer than that.
    return 0 if ahead < 10_000_000 else ahead
