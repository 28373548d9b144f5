"""urandomread on a live kernel, by whatever way this kernel allows."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rtrace

if TYPE_CHECKING:
    from collections.abc import Iterator

READS = 101
BYTES = 1024


def test_every_read_of_the_device_is_recorded() -> None:
    device = os.open("/dev/urandom", os.O_RDONLY)
    other = os.open("/dev/zero", os.O_RDONLY)
    with rtrace.urandomread(tid=threading.get_native_id()) as recorded:
        for _ in range(READS):
            os.read(device, BYTES)
            os.read(other, BYTES)
        batches: list[np.ndarray] = []
        while sum(map(len, batches)) < READS:
            batch = recorded.read(timeout=30)
            assert len(batch), "no record came"
            batches.append(batch)
        trace = recorded.trace(batches)
    os.close(device)
    os.close(other)
    reads = np.concatenate(batches)
    assert len(reads) == READS
    assert (reads["got_bits"] == 8 * BYTES).all()
    assert (reads["pid"] == os.getpid()).all()
    assert trace.lost == 0
    assert len(trace) == READS
    assert recorded.mechanism in {"tracepoint", "fentry", "kprobe", "syscall"}
    assert list(recorded.refused) == ["tracepoint", "fentry", "kprobe"][: len(recorded.refused)]


def test_what_came_in_the_last_moment_is_in_the_trace() -> None:
    """Records wait in the ring for up to 50 ms: longer than this lasts. A read that fails is no record."""
    device = os.open("/dev/urandom", os.O_RDONLY)
    with rtrace.urandomread(tid=threading.get_native_id()) as recorded:
        for _ in range(READS):
            os.read(device, BYTES)
        assert ctypes.CDLL(None).read(device, None, BYTES) == -1
        trace = recorded.record(0.001)
        os.read(device, BYTES)
        assert len(recorded.read(timeout=0)) == 0
    os.close(device)
    assert len(trace) == READS
    assert trace.lost == 0


@pytest.fixture
def device_with_tracepoint() -> Iterator[Path]:
    """Return a device whose reads hit random:urandom_read, which the kernels themselves lost in 2022."""
    module = os.environ.get("RTRACE_VM_MODULE")
    if module is None:
        pytest.skip("the module with this tracepoint is built for one of the guests")
    subprocess.run(["insmod", module], check=True)
    yield Path("/dev/rtrace_urandom")
    subprocess.run(["rmmod", "rtrace_urandom"], check=True)


def test_the_tracepoint_of_old_kernels(device_with_tracepoint: Path) -> None:
    """Its name, format and text are those of Linux up to 5.17: the way that the tutorial goes."""
    assert "random:urandom_read" in rtrace.tracepoints("random:*")
    device = os.open(device_with_tracepoint, os.O_RDONLY)
    with rtrace.urandomread(pid=os.getpid()) as recorded:
        assert recorded.mechanism == "tracepoint"
        for size in range(1, READS + 1):
            os.read(device, size)
        batches: list[np.ndarray] = []
        while sum(map(len, batches)) < READS:
            batches.append(recorded.read(timeout=30))
            assert len(batches[-1]), "no record came"
        trace = recorded.trace(batches)
    os.close(device)
    assert trace["got_bits"].tolist() == [8 * size for size in range(1, READS + 1)]
    assert set(trace["tid"].tolist()) == {threading.get_native_id()}
    assert trace.lost == 0
    fields = rtrace.tracepoint_events("random:urandom_read", pid=os.getpid())
    names = fields.dtype.names
    fields.close()
    assert names is not None
    assert names[-3:] == ("got_bits", "pool_left", "input_left")
