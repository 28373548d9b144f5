"""Measurements awaited in the event loop that a Jupyter kernel runs cells in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel import kernel_objects

if TYPE_CHECKING:
    from tests.notebooks.kernel import Kernel

Survey = dict[str, frozenset[object]]

CALLS = 1009
# The calls are made by the cell's own thread while its loop waits for their records.
EVENTS = f"""
import asyncio, os

async def call():
    for number in range({CALLS}):
        os.getppid()
        if number % 100 == 0:
            await asyncio.sleep(0)

seen = 0
with rtrace.tracepoint_events("syscalls:sys_enter_getppid", pid=os.getpid()) as t:
    calling = asyncio.create_task(call())
    async for batch in t:
        seen += len(batch)
        if seen >= {CALLS}:
            break
    await calling
seen
"""
FOR_EVER = [
    'rtrace.tracepoint_events("syscalls:sys_enter_getppid", pid=2)',
    "rtrace.vfsreadlat(interval=3600)",
]
HISTOGRAMS = """
found = []
with rtrace.vfsreadlat(interval=0.01, count=3) as t:
    async for hist in t:
        found.append(hist)
[type(hist).__name__ for hist in found]
"""


def test_events_are_awaited_in_a_cell(kernel: Kernel, before: Survey) -> None:
    done = kernel.run(EVENTS)
    assert (done.status, done.error, done.result) == ("ok", "", str(CALLS))
    assert kernel_objects.left_behind(before) == {}


def test_histograms_are_awaited_in_a_cell(kernel: Kernel, before: Survey) -> None:
    done = kernel.run(HISTOGRAMS)
    assert (done.error, done.result) == ("", str(["Histogram"] * 3))
    assert kernel_objects.left_behind(before) == {}


@pytest.mark.parametrize("attach", FOR_EVER)
def test_the_stop_button_ends_an_endless_await(kernel: Kernel, before: Survey, attach: str) -> None:
    cell = f"with {attach} as t:\n    display('waits')\n    async for found in t: pass"
    done = kernel.run(cell, at_display={1: kernel.interrupt})
    assert done.status == "error"
    assert done.error.partition(":")[0] in {"KeyboardInterrupt", "CancelledError"}
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run(HISTOGRAMS).result == str(["Histogram"] * 3)


def test_a_measurement_in_the_background_goes_on_while_other_cells_run(kernel: Kernel, before: Survey) -> None:
    background = """
import asyncio, os
t = rtrace.tracepoint_events("syscalls:sys_enter_getppid", pid=os.getpid())
seen = 0

async def watch():
    global seen
    async for batch in t:
        seen += len(batch)

watching = asyncio.create_task(watch())
"""
    assert kernel.run(background).status == "ok"
    assert kernel.run(f"for _ in range({CALLS}): os.getppid()").status == "ok"
    until = f"while seen < {CALLS}: await asyncio.sleep(0.01)\nseen"
    assert kernel.run(until).result == str(CALLS)
    # Closing ends the loop over it, and the task with it.
    done = kernel.run("t.close(); await watching; watching.done()")
    assert (done.error, done.result) == ("", "True")
    assert kernel_objects.left_behind(before) == {}
