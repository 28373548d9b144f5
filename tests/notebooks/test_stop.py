"""The stop button, restarts, and cells that are run again: nothing stays attached, and the next cell works."""

from __future__ import annotations

import pytest

from tests.kernel import kernel_objects
from tests.notebooks.kernel import Kernel

Survey = dict[str, frozenset[object]]

LIVE = {
    "calls": "with rtrace.vfsreadlat(by='comm') as t: t.live(interval=0.05)",
    "events": "with rtrace.tracepoint_events('syscalls:sys_enter_read') as t: t.live(interval=0.05)",
    "latencies": (
        "with rtrace.tracepoint_latency('syscalls:sys_enter_read', 'syscalls:sys_exit_read', key='__syscall_nr') as t: "
        "t.live(interval=0.05)"
    ),
    "both": (
        "with rtrace.vfsreadlat() as t, rtrace.tracepoint_events('syscalls:sys_enter_read') as other: "
        "rtrace.live(t, other, interval=0.05)"
    ),
}


@pytest.mark.parametrize("code", LIVE.values(), ids=LIVE)
def test_the_stop_button_ends_a_live_view_and_keeps_its_result(kernel: Kernel, before: Survey, code: str) -> None:
    seen: set[int] = set()

    def stop() -> None:
        seen.update(kernel.programs())
        kernel.interrupt()

    done = kernel.run(code, at_display={3: stop})
    assert (done.status, done.error) == ("ok", "")
    assert seen
    assert kernel_objects.are_gone(seen)
    # One output, brought up to date.
    assert len({content["transient"]["display_id"] for content in done.displays}) == 1
    last = done.displays[-1]["data"]
    assert "; ended" in last["text/plain"]
    assert "; ended" in last["text/html"]
    assert "stop button" in done.displays[0]["data"]["text/html"]
    assert "stop button" not in last["text/html"]
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run("t.closed and t.result.duration > 0").result == "True"
    assert kernel.run("rtrace.vfsreadlat(duration=0.01).total >= 0").result == "True"


@pytest.mark.parametrize(
    "code",
    [
        "with rtrace.vfsreadlat(pid=2, records=True) as t: display('waits'); t.read()",
        "display('waits'); rtrace.vfsreadlat(duration=3600)",
        "display('waits'); rtrace.tracepoint_events('syscalls:sys_enter_read', pid=2, duration=3600)",
        "with rtrace.vfsreadlat(interval=3600) as t:\n    display('waits')\n    for hist in t: pass",
    ],
)
def test_the_stop_button_ends_every_other_wait(kernel: Kernel, before: Survey, code: str) -> None:
    done = kernel.run(code, at_display={1: kernel.interrupt})
    assert (done.status, done.error) == ("error", "KeyboardInterrupt: ")
    assert kernel.programs() == set()
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run("rtrace.vfsreadlat(duration=0.01).total >= 0").result == "True"


def test_a_second_press_ends_even_a_live_view_that_is_stuck(kernel: Kernel, before: Survey) -> None:
    """What draws may hang, whatever it is: then the button does what it always does."""
    code = (
        "import time\n"
        "class Stuck:\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *_): pass\n"
        "    def draw(self, frames, *, ended):\n"
        "        display('draws, and hangs the second time')\n"
        "        while ended: time.sleep(0.05)\n"
        "with rtrace.vfsreadlat() as t: rtrace.live(t, interval=3600, screen=Stuck())"
    )
    done = kernel.run(code, at_display={1: kernel.interrupt, 2: kernel.interrupt})
    assert (done.status, done.error) == ("error", "KeyboardInterrupt: ")
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run("t.result.total >= 0").result == "True"


def test_a_restart_during_a_live_view(kernel: Kernel, before: Survey) -> None:
    message = kernel.begin(LIVE["both"])
    kernel.wait_for_display(message, 2)
    mine = kernel.programs()
    assert mine
    kernel.restart()
    assert kernel_objects.are_gone(mine)
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run("import rtrace; rtrace.vfsreadlat(duration=0.01).total >= 0").result == "True"


def test_running_a_cell_again_lets_go_of_what_its_variable_held(kernel: Kernel, before: Survey) -> None:
    cell = "t = rtrace.vfsreadlat()"
    assert kernel.run(cell).status == "ok"
    before_that = kernel.programs()
    assert before_that
    for _ in range(3):
        assert kernel.run(cell).status == "ok"
        assert kernel_objects.are_gone(before_that)
        before_that = kernel.programs()
        assert before_that
    assert kernel.run("t.snapshot().total >= 0").result == "True"
    assert kernel.run("t.close()").status == "ok"
    assert kernel_objects.left_behind(before) == {}


def test_a_measurement_that_lives_on_between_cells_can_be_looked_at_again(kernel: Kernel, before: Survey) -> None:
    assert kernel.run("t = rtrace.tracepoint_events('syscalls:sys_enter_read')").status == "ok"
    for _ in range(2):
        done = kernel.run("len(t.live(interval=0.05)) >= 0", at_display={2: kernel.interrupt})
        assert (done.status, done.result) == ("ok", "True")
    assert kernel.run("t.close()").status == "ok"
    assert kernel_objects.left_behind(before) == {}


def test_two_kernels_at_once_do_not_disturb_each_other(kernel: Kernel, before: Survey) -> None:
    with Kernel() as other:
        other.run("import rtrace")
        mine, theirs = kernel.begin(LIVE["calls"]), other.begin(LIVE["events"])
        kernel.wait_for_display(mine, 2)
        other.wait_for_display(theirs, 2)
        kernel.interrupt()
        assert kernel.finish(mine, {}).status == "ok"
        assert kernel.programs() == set()
        # The other one goes on.
        other.wait_for_display(theirs, 3)
        assert other.programs()
        other.interrupt()
        assert other.finish(theirs, {}).status == "ok"
        assert kernel_objects.left_behind(before) == {}


def test_a_shutdown_leaves_nothing(before: Survey) -> None:
    with Kernel() as started:
        started.run("import rtrace; t = rtrace.vfsreadlat(records=True)")
        mine = started.programs()
        assert mine
    assert kernel_objects.are_gone(mine)
    assert kernel_objects.left_behind(before) == {}


def test_two_measurements_at_once_each_see_their_own(kernel: Kernel, before: Survey) -> None:
    code = (
        "import os, threading\n"
        "tid = threading.get_native_id()\n"
        "with rtrace.vfsreadlat(tid=tid, mechanism='syscall') as calls, "
        "rtrace.tracepoint_events('syscalls:sys_enter_read', tid=tid) as events:\n"
        "    zero = os.open('/dev/zero', os.O_RDONLY)\n"
        "    for _ in range(101): os.read(zero, 4093)\n"
        "    os.close(zero)\n"
        "    rtrace.live(calls, events, interval=0.05)\n"
    )
    done = kernel.run(code, at_display={3: kernel.interrupt})
    assert (done.status, done.error) == ("ok", "")
    assert kernel.programs() == set()
    assert kernel_objects.left_behind(before) == {}
    assert kernel.run("calls.result.total >= 101").result == "True"
    assert kernel.run("int((events.result['count'] == 4093).sum())").result == "101"
