"""Children of fork: what a child does with the readers it has copies of takes nothing from its parent."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import rtrace
from rtrace.errors import OtherProcessError
from tests.child import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Of a process with threads, which Python 3.12 and newer warns of.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
# A system call that nothing makes by itself, and cheap.
HIT = "syscalls:sys_enter_getppid"
HITS = 1009

SOURCE = """
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 16);
TRACEPOINT_PROBE(syscalls, sys_enter_getppid) {
    if (bpf_get_current_pid_tgid() >> 32 != PID) return 0;
    u64 number = 1;
    events.perf_submit(args, &number, sizeof(number));
    ring.ringbuf_output(&number, sizeof(number), 0);
    return 0;
}
"""


def refusal(function: Callable[[], object]) -> tuple[str, int | None, str | None]:
    """Return what the error of another process's reader says."""
    with pytest.raises(OtherProcessError) as caught:
        function()
    return str(caught.value), caught.value.pid, caught.value.hint


def hit(times: int = HITS) -> None:
    for _ in range(times):
        os.getppid()


@pytest.fixture
def bpf() -> Iterator[rtrace.BPF]:
    with rtrace.BPF(text=SOURCE, cflags=[f"-DPID={os.getpid()}"]) as made:
        yield made


def test_a_child_cannot_read_and_takes_nothing_from_its_parent() -> None:
    with rtrace.tracepoint_events(HIT, pid=os.getpid()) as recording:
        hit()

        def child() -> list[Any]:
            tries = [lambda: recording.read(None), lambda: recording.read(0.5), recording.fileno, recording.losses]
            said = [refusal(each) for each in tries]
            assert not recording.closed
            recording.close()
            recording.close()
            assert recording.closed
            return said

        ours = f"belongs to process {os.getpid()}, which this one is a fork of"
        for message, pid, hint in in_a_child(child):
            assert message == f"ring buffer `EVENTS` {ours}"
            assert pid == os.getpid()
            assert hint is not None
            assert "open one in this process" in hint
        hit()
        assert len(recording.record(0).records) == 2 * HITS


def test_a_child_lets_go_of_the_descriptors_of_its_copy() -> None:
    def left() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:  # the folder's own
                continue
            found.append(target)
        with open("/proc/self/maps", errors="replace") as maps:
            found.extend(line.split()[-1] for line in maps if "bpf" in line)
        return sorted(name for name in found if "bpf" in name or "perf_event" in name)

    with (
        rtrace.tracepoint_events(HIT, pid=os.getpid()) as recording,
        rtrace.BPF(text=SOURCE, cflags=["-DPID=0"]) as bpf,
    ):
        bpf["events"].open_perf_buffer(print)
        bpf["ring"].open_ring_buffer(print)

        def child() -> list[str]:
            bpf.close()
            recording.close()
            return left()

        assert left()
        assert in_a_child(child) == []


def test_a_child_leaves_memory_alone_where_its_parent_has_perf_buffers(bpf: rtrace.BPF) -> None:
    pages = 64
    got: list[int] = []
    bpf["events"].open_perf_buffer(lambda _cpu, _address, size: got.append(size), page_cnt=pages)

    def child() -> int:
        # Some of them lie where the parent has its buffers, which are not inherited.
        size = (pages + 1) * mmap.PAGESIZE
        taken = [mmap.mmap(-1, size) for _ in range(40)]
        refusal(bpf.perf_buffer_poll)
        bpf.close()
        for memory in taken:
            memory[:] = b"x" * size
        return len(taken)

    assert in_a_child(child) == 40
    hit()
    bpf.perf_buffer_poll(0)
    assert len(got) == HITS


def test_a_child_does_not_consume_the_events_of_its_parent(bpf: rtrace.BPF) -> None:
    got: list[int] = []
    bpf["ring"].open_ring_buffer(lambda _context, _address, size: got.append(size))
    hit()

    def child() -> tuple[str, int | None, str | None]:
        refusal(lambda: bpf["ring"].lost)
        return refusal(lambda: bpf.ring_buffer_poll(0))

    message, pid, _ = in_a_child(child)
    assert (message.startswith("ring buffer `ring` belongs to process"), pid) == (True, os.getpid())
    bpf.ring_buffer_poll(0)
    assert len(got) == HITS


def test_a_child_can_open_a_reader_of_its_own(bpf: rtrace.BPF) -> None:
    with rtrace.tracepoint_events(HIT, pid=os.getpid()) as ours:

        def child() -> int:
            with rtrace.tracepoint_events(HIT, pid=os.getpid()) as recording:
                hit()
                return len(recording.record(0).records)

        assert in_a_child(child) == HITS
        assert len(ours.read(0)) == 0
    assert not bpf.closed


def test_workers_that_are_forked_during_a_recording_cost_no_record() -> None:
    with rtrace.tracepoint_events(HIT, pid=os.getpid()) as recording:
        hit()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, range(-8, 0)) == list(range(8, 0, -1))
            hit()
            pool.close()
            pool.join()
        # Pools may ask for their parent's number too.
        trace = recording.record(0)
        assert len(trace.records) >= 2 * HITS
        assert int((trace.records["tid"] == threading.get_native_id()).sum()) >= 2 * HITS
        assert trace.lost == 0


def test_a_child_that_ends_as_any_does_says_nothing() -> None:
    script = f"""if True:
        import os, sys, warnings, rtrace
        warnings.filterwarnings("ignore", message=".*multi-threaded")
        recording = rtrace.tracepoint_events("{HIT}", pid=os.getpid())
        bpf = rtrace.BPF(text="BPF_PERF_OUTPUT(events);")
        bpf["events"].open_perf_buffer(print)
        child = os.fork()
        if child == 0:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        os.getppid()
        assert len(recording.read(30)) == 1
        bpf.close()
        recording.close()
    """
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
