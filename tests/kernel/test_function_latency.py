"""The function_latency shape on a live kernel: every mechanism counts a known workload exactly."""

from __future__ import annotations

import os
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rtrace
from rtrace import _rtrace
from rtrace.errors import AttachError, ClosedError, PrivilegeError, TargetNotFoundError
from tests.kernel.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Reader

# Prime, so that no loop of anything else gives it by chance.
READS = 10_007
# As in ebpf/common/src/function_latency.rs.
NESTING = 4

MECHANISMS = ("fentry", "kprobe", "syscall")


@pytest.fixture(params=MECHANISMS)
def mechanism(request: pytest.FixtureRequest, needs: Callable[..., None]) -> str:
    """Return a mechanism that works here."""
    name: str = request.param
    option = {"fentry": None, "kprobe": "CONFIG_KPROBES", "syscall": None}[name]
    needs(lambda: rtrace.vfsreadlat(mechanism=name).close(), since=(5, 10), option=option)
    return name


def test_counts_a_known_workload_exactly(mechanism: str, reader: Reader) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid) as measurement:
        reader.read(READS)
        hist = measurement.snapshot()
    assert measurement.mechanism == hist.mechanism == mechanism
    assert hist.total == READS
    assert hist.lost == 0
    assert hist.nested == 0
    assert hist.counts.dtype == np.uint64
    assert 0 < hist.sum_ns < hist.duration * 1e9
    assert hist.options == {"tid": reader.tid}


def test_other_threads_do_not_count(mechanism: str, reader: Reader) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism, tid=threading.get_native_id()) as measurement:
        before = measurement.snapshot().total
        reader.read(101)
        assert measurement.snapshot().total - before <= 20  # our own reads of /proc and the like


def test_clearing_snapshots_lose_nothing(mechanism: str, reader: Reader) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, unit="ns") as measurement:
        parts = []
        for reads in (997, 0, 1009):
            reader.read(reads)
            parts.append(measurement.snapshot(clear=True))
    assert [part.total for part in parts] == [997, 0, 1009]
    assert sum(parts[1:], parts[0]).total == 2006


def test_what_was_counted_stays_when_it_is_detached(mechanism: str, reader: Reader) -> None:
    """Also without a filter, where losses are the kernel's own counts of the links."""
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid) as ours, rtrace.vfsreadlat(mechanism=mechanism) as all_:
        reader.read(101)
        for measurement in (ours, all_):
            measurement.detach()
            measurement.detach()
        before = all_.snapshot()
        reader.read(101)
        assert ours.snapshot().total == 101
        assert all_.snapshot().counts.tolist() == before.counts.tolist()
        assert all_.losses() == before.losses
    with pytest.raises(ClosedError):
        ours.detach()


def test_calls_while_it_is_detached_are_no_losses(mechanism: str) -> None:
    """The kernel takes its time between one link and the next."""
    stop = threading.Event()

    def read() -> None:
        with open("/dev/zero", "rb", buffering=0) as file:
            while not stop.is_set():
                file.read(1)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        with rtrace.vfsreadlat(mechanism=mechanism, pid=os.getpid()) as measurement:
            measurement.detach()
            assert measurement.losses() == {}
    finally:
        stop.set()
        reading.join()


def test_split_by_thread(mechanism: str, reader: Reader) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism, pid=os.getpid(), by="tid") as measurement:
        reader.read(READS)
        hist = measurement.snapshot()
    assert hist.groups[reader.tid].total == READS
    assert hist.total == sum(part.total for part in hist.groups.values())
    assert np.array_equal(hist.counts, sum(part.counts for part in hist.groups.values()))


def test_split_by_comm_and_cpu(mechanism: str, reader: Reader) -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, by="comm") as measurement:
        reader.read(101)
        assert {name: part.total for name, part in measurement.snapshot().groups.items()} == {comm: 101}
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, by="cpu") as measurement:
        reader.read(101)
        groups = measurement.snapshot().groups
    assert sum(part.total for part in groups.values()) == 101
    assert set(groups) <= set(range(os.cpu_count() or 1))


def test_a_full_map_of_groups_is_a_loss(mechanism: str) -> None:
    threads = 5
    barrier = threading.Barrier(threads + 1)

    def work() -> None:
        barrier.wait()
        with open("/dev/zero", "rb", buffering=0) as file:
            for _ in range(101):
                file.read(1)
        barrier.wait()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    with rtrace.vfsreadlat(mechanism=mechanism, pid=os.getpid(), by="tid", max_groups=2) as measurement:
        barrier.wait()
        barrier.wait()
        with pytest.warns(rtrace.LostEventsWarning):
            hist = measurement.snapshot()
    for worker in workers:
        worker.join()
    assert len(hist.groups) == 2
    assert hist.losses["groups_full"] > 0
    # Kretprobes may run out of instances with so many threads, and programs of Linux 7 be preempted and keep others
    # out; that is counted too.
    missed = sum(number for cause, number in hist.observed.items() if cause.endswith("_of_anybody"))
    assert hist.total + hist.lost + missed >= 5 * 101


def test_minimum_latency_leaves_out_and_counts(mechanism: str, reader: Reader) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, min_latency=60.0) as measurement:
        reader.read(101)
        assert measurement.snapshot().total == 0
        assert measurement.below_minimum == 101


def test_records_one_row_per_call(mechanism: str, reader: Reader) -> None:
    began = time.monotonic_ns()
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, records=True, unit="ns") as measurement:
        reader.read(READS)
        ended = time.monotonic_ns()
        batches = [measurement.read(timeout=30)]
        while sum(map(len, batches)) < READS:
            batches.append(measurement.read(timeout=30))
        assert len(measurement.read(timeout=0)) == 0
        hist = measurement.snapshot()
    calls = np.concatenate(batches)
    assert len(calls) == READS
    assert calls["latency_ns"].sum() == hist.sum_ns
    assert (calls["return_value"] == 1).all()  # every read was of one byte
    assert (calls["tid"] == reader.tid).all()
    assert (calls["pid"] == os.getpid()).all()
    assert (calls["cpu"] < (os.cpu_count() or 1)).all()
    assert set(calls["comm"]) == {Path("/proc/self/comm").read_bytes().strip()}
    assert (np.diff(calls["ts_ns"].astype(np.int64)) >= 0).all()
    assert began <= calls["ts_ns"].min() <= calls["ts_ns"].max() <= ended


def test_without_tracefs_the_raw_tracepoints_serve(monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    def refuse() -> None:
        message = "open tracefs: Operation not permitted"
        raise PrivilegeError(message)

    monkeypatch.setattr(_rtrace, "tracefs", refuse)
    with rtrace.vfsreadlat(mechanism="syscall", tid=reader.tid, records=True) as measurement:
        assert {link.kind for link in measurement._live().links} == {"raw tracepoint"}
        reader.read(READS)
        assert measurement.snapshot().total == READS
        assert (measurement.read(timeout=30)["return_value"] == 1).all()


def test_a_full_ring_counts_what_it_loses(mechanism: str, reader: Reader) -> None:
    size = os.sysconf("SC_PAGE_SIZE")
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, records=True, ring_bytes=size) as measurement:
        for _ in range(50):
            reader.read(211)
        got = len(measurement.read(timeout=30))
        while len(batch := measurement.read(timeout=0)):
            got += len(batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rtrace.LostEventsWarning)
            hist = measurement.snapshot()
    assert hist.total == 50 * 211
    assert got + hist.losses.get("records_lost", 0) == 50 * 211


def test_cgroup_filter(mechanism: str, reader: Reader) -> None:
    from rtrace.shapes.targets import unified_root

    root = unified_root()
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, cgroup=root) as measurement:
        reader.read(101)
        assert measurement.snapshot().total == 101
    empty = os.path.join(root, f"rtrace-test-{os.getpid()}")
    os.mkdir(empty)
    try:
        for name in (empty, os.path.basename(empty), os.stat(empty).st_ino):
            with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid, cgroup=name) as measurement:
                reader.read(101)
                assert measurement.snapshot().total == 0
    finally:
        os.rmdir(empty)


def test_threads_that_die_inside_leave_the_rest_right(mechanism: str, reader: Reader) -> None:
    """Processes killed while they sleep in a read never return from it."""
    with rtrace.vfsreadlat(mechanism=mechanism) as measurement:
        for _ in range(7):
            receive, send = os.pipe()
            child = os.fork()
            if child == 0:
                os.read(receive, 1)
                os._exit(1)
            wait_until_asleep(child)
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(receive)
            os.close(send)
        measurement.snapshot()
    with rtrace.vfsreadlat(mechanism=mechanism, tid=reader.tid) as measurement:
        reader.read(101)
        assert measurement.snapshot().total == 101


def wait_until_asleep(pid: int) -> None:
    """Return when a process or thread of ours sleeps in a system call."""
    while True:
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "S":
                return


def test_missed_returns_are_counted(needs: Callable[..., None], reader: Reader) -> None:
    """Threads asleep in the function use up the kretprobe's instances: returns of others are then missed."""
    needs(lambda: rtrace.vfsreadlat(mechanism="kprobe").close(), since=(5, 10), option="CONFIG_KPROBES")
    sleepers = 2 * max(10, 2 * (os.cpu_count() or 1))
    receive, send = os.pipe()
    threads = [threading.Thread(target=os.read, args=(receive, 1)) for _ in range(sleepers)]
    with rtrace.vfsreadlat(mechanism="kprobe", tid=reader.tid) as measurement:
        for thread in threads:
            thread.start()
            wait_until_asleep(thread.native_id or 0)
        reader.read(READS)
        os.write(send, bytes(sleepers))
        for thread in threads:
            thread.join()
        reader.read(1)
        with pytest.warns(rtrace.LostEventsWarning):
            hist = measurement.snapshot()
    os.close(receive)
    os.close(send)
    assert hist.losses["returns_missed"] > 0
    # A missed return shows when its thread calls again; some of the last may not have shown yet.
    assert READS + 1 - NESTING <= hist.total + hist.lost <= READS + 1


def test_start_times_are_kept_in_task_storage_where_there_is_one(mechanism: str) -> None:
    with rtrace.vfsreadlat(mechanism=mechanism) as measurement:
        assert measurement.storage == ("task" if running() >= (5, 13) else "hash")


def test_iterating_gives_one_histogram_an_interval(mechanism: str) -> None:
    measurement = rtrace.vfsreadlat(mechanism=mechanism, interval=0.05, count=3)
    histograms = list(measurement)
    assert len(histograms) == 3
    assert measurement.closed
    # On a slow machine one that comes late is followed by a shorter one: the times of the clock are kept.
    assert sum(hist.duration for hist in histograms) >= 0.14


def test_leaving_the_loop_closes(mechanism: str) -> None:
    measurement = rtrace.vfsreadlat(mechanism=mechanism, interval=0.01)
    for _ in measurement:
        break
    measurement.close()
    with pytest.raises(ClosedError):
        measurement.snapshot()


def test_a_forgotten_measurement_detaches_with_a_warning() -> None:
    measurement = rtrace.vfsreadlat()
    with pytest.warns(ResourceWarning, match="unclosed <FunctionLatency vfs_read"):
        del measurement


def test_auto_takes_the_first_that_works_and_says_why_not_the_others() -> None:
    with rtrace.vfsreadlat() as measurement:
        order = list(MECHANISMS)
        assert list(measurement.refused) == order[: order.index(measurement.mechanism)]
        assert measurement.boundary


def test_unknown_function_suggests_near_matches() -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        rtrace.function_latency("vfs_raed", duration=1)
    assert "vfs_read" in caught.value.suggestions
    assert "vfs_read" in (caught.value.hint or "")


def test_a_function_that_cannot_be_traced() -> None:
    """The kernel keeps probes away from its own entry code."""
    names = {name for name, _ in _rtrace.kernel_functions()}
    name = next(name for name in ("asm_exc_int3", "entry_SYSCALL_64") if name in names)
    with pytest.raises(AttachError):
        rtrace.function_latency(name, duration=1)


def test_a_process_that_does_not_exist() -> None:
    with pytest.raises(TargetNotFoundError, match="no such process"):
        rtrace.vfsreadlat(pid=2**22 + 1)
