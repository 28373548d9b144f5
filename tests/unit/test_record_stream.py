"""Streams of records: what iterating, awaiting and recording for a time make of any source."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtrace.errors import ClosedError
from rtrace.shapes.record_stream import RecordStream
from rtrace.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

DTYPE = np.dtype([("ts_ns", "u8")])


class Counter(RecordStream):
    """Batches of one record each, until it is detached; then those that are left."""

    def __init__(self, left: int = 0) -> None:
        super().__init__("the test's stream")
        self.event = os.eventfd(1, os.EFD_NONBLOCK)
        self.number = 0
        self.left = left
        self.detached = False

    def read(self, timeout: float | None = None) -> np.ndarray:
        self._check_open()
        if self.detached:
            assert timeout == 0
            if not self.left:
                return np.zeros(0, DTYPE)
            self.left -= 1
        self.number += 1
        return np.array([(self.number,)], DTYPE)

    def fileno(self) -> int:
        return self.event

    def losses(self) -> dict[str, int]:
        return {}

    def detach(self) -> None:
        self._check_open()
        self.detached = True

    def trace(self, batches: Sequence[np.ndarray]) -> Trace:
        return Trace(records=np.concatenate([np.empty(0, DTYPE), *batches]), target="test:test")

    def _release(self) -> None:
        os.close(self.event)


def test_recording_detaches_and_then_takes_what_was_under_way() -> None:
    with Counter(left=3) as stream:
        trace = stream.record(0.002)
        assert stream.detached
        assert not stream.closed
        assert stream.left == 0
    assert trace["ts_ns"].tolist() == list(range(1, len(trace) + 1))
    assert len(trace) > 3


def test_a_loop_closes_when_it_is_left() -> None:
    stream = Counter()
    batches = iter(stream)
    assert [int(next(batches)["ts_ns"][0]) for _ in range(3)] == [1, 2, 3]
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert stream.closed
    with pytest.raises(ClosedError):
        stream.record(0.001)


def test_an_asynchronous_loop_leaves_it_open() -> None:
    async def go(stream: Counter) -> int:
        async for batch in stream:
            return len(batch)
        return 0

    with Counter() as stream:
        assert asyncio.run(go(stream)) == 1
        assert not stream.closed
