"""Records awaited in a notebook, whose event loop runs already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel import kernel_objects

if TYPE_CHECKING:
    from tests.notebooks.kernel import Kernel

RECORD = """
import asyncio, os, threading
recording = rtrace.tracepoint_events("syscalls:sys_enter_getppid", tid=threading.get_native_id())
for _ in range(503):
    os.getppid()
"""
EVERY = """
got = 0
async for batch in recording:
    got += len(batch)
    if got == 503:
        break
got
"""
CANCELLED = """
waiting = asyncio.create_task(recording.read_async())
await asyncio.sleep(0.01)
waiting.cancel()
await asyncio.wait([waiting])
waiting.cancelled()
"""
LATER = """
for _ in range(11):
    os.getppid()
len(await recording.read_async())
"""
BEHIND = """
async def count():
    return sum([len(batch) async for batch in recording])
counting = asyncio.create_task(count())
await asyncio.sleep(0)
for _ in range(7):
    os.getppid()
"""


def test_cells_await_records(kernel: Kernel) -> None:
    assert kernel.run(RECORD).error == ""
    assert kernel.run(EVERY).result == "503"
    assert kernel.run(CANCELLED).result == "True"
    assert kernel.run(LATER).result == "11"
    kernel.run("recording.close()")


def test_a_task_reads_while_other_cells_run(kernel: Kernel, before: dict[str, frozenset[object]]) -> None:
    assert kernel.run(RECORD).error == ""
    assert kernel.run(BEHIND).error == ""
    # The task gets what is there as soon as a cell has ended.
    assert kernel.run("await asyncio.wait([counting], timeout=0.2); counting.done()").result == "False"
    assert kernel.run("recording.close(); await counting").result == str(503 + 7)
    assert kernel_objects.left_behind(before) == {}
