"""The reader of ring buffers on a live kernel: descriptors, event loops, and memory that is bounded."""

from __future__ import annotations

import asyncio
import io
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rtrace
from rtrace.errors import ClosedError

if TYPE_CHECKING:
    from tests.kernel.conftest import Reader

# A system call that nothing makes by itself, and cheap.
HIT = "syscalls:sys_enter_getppid"
HITS = 10_007
KEPT = 101


def hit(times: int) -> None:
    for _ in range(times):
        os.getppid()


def record(**options: Any) -> rtrace.Recording:
    """Record our own hits."""
    recording: rtrace.Recording = rtrace.tracepoint_events(HIT, tid=threading.get_native_id(), **options)
    return recording


def bounded(when_full: str, **options: Any) -> rtrace.Recording:
    """Record our own hits with room for KEPT of them."""
    with record() as recording:
        size = recording.dtype.itemsize
    return record(max_bytes=KEPT * size + size - 1, when_full=when_full, **options)


def is_readable(descriptor: int, seconds: float = 0) -> bool:
    """Whether a descriptor is readable, or becomes so in time."""
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_the_descriptor_is_readable_while_records_wait() -> None:
    with record() as recording:
        assert not is_readable(recording.fileno())
        for _ in range(3):
            hit(3)
            assert is_readable(recording.fileno(), 30)
            assert len(recording.read(timeout=0)) == 3
            assert not is_readable(recording.fileno())


def test_the_descriptor_is_readable_if_records_came_before_it_was_asked_for() -> None:
    with record(wakeup_bytes=0) as recording:
        hit(1)
        # Only the reader's own thread moves it from here on.
        assert is_readable(recording.fileno(), 30)
        assert len(recording.read(timeout=0)) == 1


def test_closing_makes_the_descriptor_readable() -> None:
    recording = record()
    ours = os.dup(recording.fileno())
    assert not is_readable(ours)
    recording.close()
    assert is_readable(ours)
    os.close(ours)
    with pytest.raises(ClosedError):
        recording.fileno()


def test_every_record_is_awaited() -> None:
    async def go() -> tuple[int, int]:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        with record() as recording:
            other = asyncio.create_task(count_turns())
            hit(HITS)
            got = 0
            async for batch in recording:
                got += len(batch)
                if got >= HITS:
                    break
            assert len(await recording.read_async(0)) == 0
            assert len(await recording.read_async(0.01)) == 0
            other.cancel()
        return got, turns

    got, turns = asyncio.run(go())
    assert got == HITS
    assert turns > 0


def test_a_cancelled_await_loses_nothing() -> None:
    async def go() -> int:
        got = 0
        with record() as recording:
            before = set(os.listdir("/proc/self/fd"))
            batches = aiter(recording)
            for _ in range(50):
                waiting = asyncio.ensure_future(anext(batches))
                await asyncio.sleep(0)
                hit(3)
                # Cancelled as it waits, as it is woken, or when it is done.
                waiting.cancel()
                got += sum(len(batch) for batch in await asyncio.gather(waiting, return_exceptions=True)
                           if not isinstance(batch, BaseException))  # fmt: skip
            got += len(recording.read(timeout=0))
            # The one for the descriptor itself stays.
            assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
        return got

    assert asyncio.run(go()) == 150


def test_two_recordings_in_one_loop() -> None:
    """And two tasks that wait for the same recording: every record comes to one of them."""

    async def take(recording: rtrace.Recording) -> int:
        return sum([len(batch) async for batch in recording])

    async def go() -> list[int]:
        other = rtrace.tracepoint_events("syscalls:sys_enter_getpgid", tid=threading.get_native_id())
        with record() as recording, other:
            tasks = [asyncio.create_task(take(one)) for one in (recording, recording, other)]
            await asyncio.sleep(0)
            for _ in range(7):
                hit(11)
                os.getpgid(0)
                await asyncio.sleep(0.01)
            recording_left, other_left = len(recording.read(timeout=0)), len(other.read(timeout=0))
            recording.close()
            other.close()
            first, second, third = await asyncio.gather(*tasks)
        return [first + second + recording_left, third + other_left]

    assert asyncio.run(go()) == [77, 7]


def test_closing_ends_what_awaits() -> None:
    async def go() -> None:
        recording = record()
        waiting = asyncio.create_task(recording.read_async())
        looping = asyncio.create_task(anext(aiter(recording), None))
        await asyncio.sleep(0.01)
        recording.close()
        with pytest.raises(ClosedError):
            await waiting
        assert await looping is None

    asyncio.run(go())


def test_histograms_are_awaited(reader: Reader) -> None:
    async def go() -> list[int]:
        with rtrace.vfsreadlat(tid=reader.tid, mechanism="syscall", interval=0.05, count=3, records=True) as reads:
            totals = []
            async for hist in reads:
                totals.append(hist.total)
                reader.read(11)
            records = await reads.read_async()
        return [*totals, len(records)]

    assert asyncio.run(go()) == [0, 11, 11, 33]


def test_the_newest_are_dropped() -> None:
    with bounded("drop_newest") as recording:
        hit(KEPT)
        boundary = time.monotonic_ns()
        hit(HITS - KEPT)
        records = recording.read(timeout=0)
        assert len(records) == KEPT
        assert (records["ts_ns"] <= boundary).all()
        check_dropped(recording, records)


def test_the_oldest_are_dropped() -> None:
    with bounded("drop_oldest") as recording:
        hit(HITS - KEPT)
        boundary = time.monotonic_ns()
        hit(KEPT)
        records = recording.read(timeout=0)
        assert len(records) == KEPT
        assert (np.diff(records["ts_ns"].astype(np.int64)) >= 0).all()
        assert (records["ts_ns"] >= boundary).all()
        check_dropped(recording, records)
        # Whoever reads in time gets everything from then on.
        hit(KEPT)
        assert len(recording.read(timeout=0)) == KEPT
        assert recording.losses() == {"records_dropped": HITS - KEPT}


def check_dropped(recording: rtrace.Recording, records: np.ndarray) -> None:
    """What was dropped is in the losses, the trace, the warning and the footer."""
    assert recording.losses() == {"records_dropped": HITS - KEPT}
    with pytest.warns(rtrace.LostEventsWarning, match=f"{HITS - KEPT} records are missing"):
        trace = recording.trace([records])
    assert trace.losses == {"records_dropped": HITS - KEPT}
    shown = io.StringIO()
    trace.print(file=shown)
    assert f"({HITS - KEPT} records dropped)" in shown.getvalue()


@pytest.mark.parametrize("when_full", ["wait", "drop_newest", "drop_oldest"])
def test_delivered_dropped_and_lost_make_up_the_whole(when_full: str) -> None:
    """With a reader that comes now and then, and a ring of one page."""
    with bounded(when_full, ring_bytes=os.sysconf("SC_PAGE_SIZE"), wakeup_bytes=0) as recording:
        delivered = 0
        for _ in range(20):
            hit(503)
            delivered += len(recording.read(timeout=0))
        while len(batch := recording.read(timeout=0)):
            delivered += len(batch)
        losses = recording.losses()
        assert delivered + sum(losses.values()) == 20 * 503
        assert delivered >= KEPT
        assert set(losses) <= ({"records_lost"} if when_full == "wait" else {"records_lost", "records_dropped"})


def test_dropped_calls_are_losses_of_the_histogram(reader: Reader) -> None:
    options: dict[str, Any] = {"records": True, "max_bytes": 64 * KEPT, "when_full": "drop_oldest"}
    with rtrace.vfsreadlat(tid=reader.tid, mechanism="syscall", **options) as reads:
        reader.read(503)
        records = reads.read(timeout=0)
        with pytest.warns(rtrace.LostEventsWarning):
            hist = reads.snapshot()
    assert hist.total == 503
    assert hist.losses == {"records_dropped": 503 - len(records)}


def test_options_are_checked_before_anything_is_loaded() -> None:
    wrong: list[dict[str, Any]] = [
        {"ring_bytes": 5000},
        {"max_bytes": 0},
        {"when_full": "drop"},
        {"wakeup_bytes": -1},
        {"wakeup_bytes": 1 << 30},
    ]
    for options in wrong:
        (name,) = options
        with pytest.raises(ValueError, match=name):
            record(**options)
    with pytest.raises(ValueError, match="one record"):
        record(max_bytes=1)
