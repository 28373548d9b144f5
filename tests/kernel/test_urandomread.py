"""urandomread on a live kernel, by whatever way this kernel allows."""

from __future__ import annotations

import os
import threading

import numpy as np

import rtrace

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
