"""Awaiting records in an event loop, with a source of our own instead of the kernel."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np
import pytest

from rtrace.errors import ClosedError
from rtrace.shapes.awaiting import Batches, RecordReader


class Source(RecordReader):
    """Records that the test puts there."""

    def __init__(self) -> None:
        super().__init__("the test's source")
        self.event = os.eventfd(0, os.EFD_NONBLOCK)
        self.records = 0

    def put(self, count: int) -> None:
        self.records += count
        os.eventfd_write(self.event, 1)

    def read(self, timeout: float | None = None) -> np.ndarray:
        assert timeout == 0
        self._check_open()
        if self.records:
            os.eventfd_read(self.event)
        taken, self.records = self.records, 0
        return np.zeros(taken, "V8")

    def fileno(self) -> int:
        self._check_open()
        return self.event

    def _release(self) -> None:
        os.eventfd_write(self.event, 1)


def test_what_is_there_is_taken_at_once() -> None:
    async def go() -> None:
        with Source() as source:
            source.put(5)
            assert len(await source.read_async(0)) == 5
            assert len(await source.read_async(0)) == 0

    asyncio.run(go())


def test_the_loop_goes_on_meanwhile() -> None:
    async def go() -> None:
        with Source() as source:
            asyncio.get_running_loop().call_soon(source.put, 3)
            assert len(await source.read_async()) == 3

    asyncio.run(go())


def test_a_flood_lets_others_run() -> None:
    async def go() -> None:
        with Source() as source:
            ran: list[int] = []
            asyncio.get_running_loop().call_soon(ran.append, 1)
            source.put(1)
            async for _ in Batches(source):
                source.put(1)
                if ran:
                    break

    asyncio.run(go())


def test_the_time_runs_out() -> None:
    async def go() -> None:
        with Source() as source:
            assert len(await source.read_async(0.001)) == 0
            # Awaited by somebody else as well, who is first.
            both = asyncio.gather(source.read_async(0.02), source.read_async(0.02))
            await asyncio.sleep(0)
            source.put(2)
            assert sorted(map(len, await both)) == [0, 2]

    asyncio.run(go())


@pytest.mark.parametrize("turns", range(5))
def test_whenever_it_is_cancelled_nothing_is_lost(turns: int) -> None:
    """A number of turns of the loop later: before, while and after the records come."""

    async def go() -> None:
        with Source() as source:
            before = os.listdir("/proc/self/fd")
            waiting = asyncio.create_task(source.read_async())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            source.put(7)
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            (result,) = await asyncio.gather(waiting, return_exceptions=True)
            got = 0 if isinstance(result, asyncio.CancelledError) else len(result)  # type: ignore[arg-type]
            assert got + len(await source.read_async(0)) == 7
            assert os.listdir("/proc/self/fd") == before

    asyncio.run(go())


def test_closing_ends_the_wait() -> None:
    async def go() -> None:
        source = Source()
        waiting = asyncio.create_task(source.read_async())
        looping = asyncio.create_task(anext(Batches(source), None))
        for _ in range(3):
            await asyncio.sleep(0)
        source.close()
        with pytest.raises(ClosedError):
            await waiting
        assert await looping is None
        with pytest.raises(ClosedError):
            await source.read_async()

    asyncio.run(go())


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "x", [], True])
def test_what_is_no_time_is_refused(timeout: Any) -> None:
    async def go() -> None:
        with Source() as source:
            source.put(1)
            with pytest.raises((TypeError, ValueError), match="timeout must be a time in seconds"):
                await source.read_async(timeout)

    asyncio.run(go())
