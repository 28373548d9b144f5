"""The tracepoint_latency shape on a live kernel: system calls and disk requests, joined exactly."""

from __future__ import annotations

import mmap
import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rtrace
from tests.kernel.conftest import collect, open_for_direct_writes, told_missing, writes_of_ours

if TYPE_CHECKING:
    from pathlib import Path

START, END = "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"
CALLS = 10_007
BLOCK = 4096
WRITES = 211
THREADS = 4


def test_every_pair_is_a_record() -> None:
    tid = threading.get_native_id()
    with rtrace.tracepoint_latency(START, END, key="__syscall_nr", tid=tid, end_fields=["ret"]) as recording:
        for _ in range(CALLS):
            parent = os.getppid()
        records = collect(recording, CALLS)
        trace = recording.trace([records])
    assert len(records) == CALLS
    assert (records["tid"] == tid).all()
    assert (records["ret"] == parent).all()
    assert records["latency_ns"].min() > 0
    assert records["latency_ns"].sum() < trace.duration * 1e9
    assert trace.lost == 0
    assert trace.target == f"{START} -> {END}"


def test_a_key_of_unequal_sizes_is_one_number() -> None:
    """A register's 8 bytes at one end, an int's 4 at the other."""
    call, sent = "syscalls:sys_enter_kill", "signal:signal_generate"
    sizes = [rtrace.tracepoint_format(target)["sig"].size for target in (call, sent)]
    assert sizes == [8, 4]
    with rtrace.tracepoint_latency(call, sent, key=("pid", "sig"), tid=threading.get_native_id()) as recording:
        for _ in range(101):
            # Nobody minds this one.
            os.kill(os.getpid(), signal.SIGWINCH)
        records = collect(recording, 101)
        assert recording.losses() == {}
    assert (records["sig"] == signal.SIGWINCH).all()


def test_starts_with_one_key_overwrite_each_other_and_are_counted() -> None:
    """Two starts in a row: the first is lost. The ends of this pair never come."""
    enter = "syscalls:sys_enter_getppid"
    with rtrace.tracepoint_latency(
        enter, "syscalls:sys_exit_getpgid", key="__syscall_nr", tid=threading.get_native_id()
    ) as recording:
        for _ in range(101):
            os.getppid()
        losses = recording.losses()
    assert losses["starts_overwritten"] == 100


def test_minimum_latency_leaves_out_and_counts() -> None:
    tid = threading.get_native_id()
    with rtrace.tracepoint_latency(START, END, key="__syscall_nr", tid=tid, min_latency=60.0) as recording:
        for _ in range(101):
            os.getppid()
        assert len(recording.read(timeout=0)) == 0
        assert recording.observed()["below_minimum"] == 101


def test_keys_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot be part of a key"):
        rtrace.tracepoint_latency("sched:sched_switch", "sched:sched_switch", key="prev_comm")
    with pytest.raises(ValueError, match="no field 'nope'"):
        rtrace.tracepoint_latency(START, END, key="nope")
    with pytest.raises(ValueError, match="1 to 4 fields"):
        rtrace.tracepoint_latency(START, END, key=())
    with pytest.raises(ValueError, match="is for block:block_rq_issue"):
        rtrace.tracepoint_latency(START, END, key="request")


def test_a_thread_and_a_cpu_can_be_keys() -> None:
    """Two threads in the same call at a time: only the thread tells them apart."""
    both = threading.Barrier(2)

    def call() -> None:
        both.wait()
        for _ in range(CALLS):
            os.getppid()

    other = threading.Thread(target=call)
    with (
        rtrace.tracepoint_latency(START, END, key="tid", pid=os.getpid(), ring_bytes=1 << 23) as by_thread,
        rtrace.tracepoint_latency(START, END, key=("cpu", "__syscall_nr"), pid=os.getpid(), fields=[]) as by_cpu,
    ):
        other.start()
        call()
        other.join()
        records = collect(by_thread, 2 * CALLS)
        assert by_thread.losses() == {}
        seen = by_cpu.observed()
    assert {len(records[records["tid"] == tid]) for tid in np.unique(records["tid"])} == {CALLS}
    assert seen["starts"] >= seen["filtered"] + 2 * CALLS


def test_of_requests_in_parallel_none_goes_missing_uncounted(disk_file: Path) -> None:
    """Interrupts end some of them in the middle of programs for others; perf tracepoints miss those.

    Raw tracepoints do not, unless the kernel may preempt their programs (Linux 7 does), which it counts.
    """
    size = 3 * BLOCK
    file = open_for_direct_writes(disk_file, THREADS * WRITES * size)

    def write(first: int) -> None:
        # Mapped memory is aligned like pages, as direct writes want it.
        with mmap.mmap(-1, size) as block:
            for number in range(first, first + WRITES):
                os.pwrite(file, block, number * size)

    writers = [threading.Thread(target=write, args=(index * WRITES,)) for index in range(THREADS)]
    with rtrace.disksnoop(key="request") as recording:
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        # A write returns when its request has ended.
        records = recording.read(timeout=0)
        missing = told_missing(recording)
    os.close(file)
    ours = records[(records["bytes"] == size) & np.char.startswith(records["rwbs"], b"W")]
    found = len(set(ours["sector"].tolist()))
    assert found == len(ours)
    assert THREADS * WRITES - found <= missing


def test_requests_look_as_the_tracepoint_shows_them(disk_file: Path) -> None:
    """Disk, place, size and letters: put together by our programs, and by the kernel's own tracepoint."""
    fields = ["dev", "sector", "bytes", "rwbs"]
    size = 5 * BLOCK
    file = open_for_direct_writes(disk_file, WRITES * size)
    only_ours = f"bytes == {size}"
    with (
        mmap.mmap(-1, size) as block,
        rtrace.disksnoop(key="request", filter=only_ours) as recording,
        rtrace.tracepoint_events("block:block_rq_issue", fields=fields, filter=only_ours) as reference,
    ):
        for number in range(WRITES):
            os.pwrite(file, block, number * size)
        for number in range(WRITES):
            os.preadv(file, [block], number * size)
        # Reads and writes return when their requests have ended.
        ours, theirs = recording.read(timeout=0), reference.read(timeout=0)
        missing = told_missing(recording)
    os.close(file)
    assert 2 * WRITES - missing <= len(ours) <= 2 * WRITES
    # What the reference has missed is all that it may not have.
    unlike = Counter(map(tuple, ours[fields].tolist())) - Counter(map(tuple, theirs[fields].tolist()))
    assert unlike.total() <= 2 * WRITES - len(theirs)
    assert {text[:1] for text in ours["rwbs"].tolist()} == {b"R", b"W"}


@pytest.mark.parametrize("key", ["request", ("dev", "sector")])
def test_disksnoop_sees_every_byte_that_is_written(key: str | tuple[str, ...], disk_file: Path) -> None:
    file = open_for_direct_writes(disk_file, WRITES * BLOCK)
    with mmap.mmap(-1, BLOCK) as block, rtrace.disksnoop(key=key, filter=writes_of_ours(disk_file, BLOCK)) as recording:
        for number in range(WRITES):
            os.pwrite(file, block, number * BLOCK)
        # A write returns when its request has ended.
        records = recording.read(timeout=0)
        missing = told_missing(recording)
    os.close(file)
    assert (records["bytes"] == BLOCK).all()
    assert WRITES - missing <= len(set(records["sector"].tolist())) == len(records) <= WRITES
