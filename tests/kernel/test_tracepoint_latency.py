"""The tracepoint_latency shape on a live kernel: system calls and disk requests, joined exactly."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rtrace
from tests.kernel.conftest import writes_of_ours

if TYPE_CHECKING:
    from pathlib import Path

START, END = "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"
CALLS = 10_007
BLOCK = 4096
WRITES = 211


def collect(recording: rtrace.Recording, count: int) -> np.ndarray:
    """Read until so many records have come."""
    batches = [recording.read(timeout=30)]
    while sum(map(len, batches)) < count:
        batch = recording.read(timeout=30)
        assert len(batch), "no record came"
        batches.append(batch)
    return np.concatenate(batches)


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
    with pytest.raises(rtrace.NotSupportedError, match="struct request"):
        rtrace.tracepoint_latency(START, END, key="request")


@pytest.mark.parametrize("key", ["request", ("dev", "sector")])
def test_disksnoop_sees_every_byte_that_is_written(key: str | tuple[str, ...], disk_file: Path) -> None:
    buffer = memoryview(bytearray(2 * BLOCK))
    # Direct writes need memory that is aligned like the disk's blocks.
    offset = -np.frombuffer(buffer, np.uint8).ctypes.data % BLOCK
    file = os.open(disk_file, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    if disk_file.is_file():
        # Laid out first: otherwise the file system writes of its own to lay it out.
        os.posix_fallocate(file, 0, WRITES * BLOCK)
    os.fsync(file)
    sectors: set[int] = set()
    total = 0
    with rtrace.disksnoop(key=key, filter=writes_of_ours(disk_file, BLOCK)) as recording:
        for number in range(WRITES):
            os.pwrite(file, buffer[offset : offset + BLOCK], number * BLOCK)
        while len(sectors) < WRITES:
            records = recording.read(timeout=30)
            assert len(records), "no record came"
            sectors.update(records["sector"].tolist())
            total += int(records["bytes"].sum())
        assert recording.losses() == {}
    os.close(file)
    assert total == WRITES * BLOCK
