"""Pairs of tracepoints counted in the kernel: exact, split by fields, and the same as their records."""

from __future__ import annotations

import asyncio
import mmap
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rtrace
from tests.kernel.conftest import collect, open_for_direct_writes, told_missing, writes_of_ours
from tests.kernel.test_tracepoint_latency import BLOCK, END, START

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prime, so that no loop of anything else gives it by chance.
CALLS = 10_007
THREADS = 5
EACH = 101
# A system call with an argument: which of these it is called with is a field of its start.
WITH_ARGUMENT = "syscalls:sys_enter_getpgid", "syscalls:sys_exit_getpgid"


def measure(
    start: str = START, end: str = END, *, key: str = "tid", output: str = "histogram", **options: Any
) -> rtrace.TracepointLatency:
    """Count our own pairs."""
    options = {"pid": os.getpid(), **options}
    made: Any = rtrace.tracepoint_latency(start, end, key=key, output=output, **options)  # type: ignore[call-overload]
    measurement: rtrace.TracepointLatency = made
    return measurement


def totals(hist: rtrace.Histogram) -> dict[Any, int]:
    return {name: part.total for name, part in hist.groups.items()}


def call(times: int) -> None:
    for _ in range(times):
        os.getppid()


@pytest.fixture
def called_by_threads() -> Iterator[Any]:
    """Return a function that lets threads of ours make some calls each, and returns their numbers."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def run(go: threading.Barrier) -> None:
        go.wait()
        call(EACH)
        go.wait()
        # Until then its number is nobody else's.
        done.wait()

    def go() -> list[int]:
        barrier = threading.Barrier(THREADS + 1)
        threads.extend(threading.Thread(target=run, args=(barrier,)) for _ in range(THREADS))
        for thread in threads:
            thread.start()
        barrier.wait()
        barrier.wait()
        return [thread.native_id or 0 for thread in threads]

    yield go
    done.set()
    for thread in threads:
        thread.join()


def test_counts_a_known_workload_exactly() -> None:
    with measure(unit="ns") as measurement:
        call(CALLS)
        hist = measurement.snapshot()
        call(EACH)
        assert measurement.snapshot(clear=True).total == CALLS + EACH
        call(EACH + 2)
        assert measurement.snapshot(clear=True).total == EACH + 2
        assert measurement.snapshot().total == 0
    assert (hist.total, hist.lost, hist.by) == (CALLS, 0, None)
    assert 0 < hist.sum_ns < hist.duration * 1e9
    assert (hist.mechanism, hist.unit, hist.tool) == ("tracepoint", "ns", "tracepoint_latency")
    assert hist.target == f"{START} -> {END}"
    assert hist.options == {"pid": os.getpid()}
    assert hist.observed["starts"] - hist.observed["filtered"] == CALLS
    assert hist.observed["starts_not_ended"] == 0


def test_no_record_is_kept_unless_both_are_wanted() -> None:
    with measure() as measurement:
        call(EACH)
        for ask in (measurement.read, measurement.fileno):
            with pytest.raises(ValueError, match="keeps no records: make it with output='both'"):
                ask()


@pytest.mark.parametrize("by", ["tid", "pid", "comm"])
def test_split_by_task(by: str, called_by_threads: Any) -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    with measure(by=by) as measurement:
        tids = called_by_threads()
        found = totals(measurement.snapshot())
    expected = {"tid": dict.fromkeys(tids, EACH), "pid": {os.getpid(): THREADS * EACH}, "comm": {comm: THREADS * EACH}}
    assert found == expected[by]


def test_split_by_fields_of_the_start_and_of_the_end() -> None:
    ours, parent = os.getpid(), os.getppid()
    calls = {0: 101, ours: 211, parent: 307}
    expected = {"pid_": calls, "ret": {}}
    for argument, times in calls.items():
        group = os.getpgid(argument)
        expected["ret"][group] = expected["ret"].get(group, 0) + times
    # `pid` is the process in results, so that the argument of that name is `pid_` in them, as in records.
    for by, found in expected.items():
        with measure(*WITH_ARGUMENT, by=by) as measurement:
            for argument, times in calls.items():
                for _ in range(times):
                    os.getpgid(argument)
            assert totals(measurement.snapshot()) == found


def test_negative_numbers_are_groups_too() -> None:
    """A call that fails returns -ESRCH."""
    with measure(*WITH_ARGUMENT, by="ret") as measurement:
        for _ in range(EACH):
            with pytest.raises(ProcessLookupError):
                os.getpgid(2**22 + 1)
        assert totals(measurement.snapshot()) == {-3: EACH}


def test_split_by_cpu() -> None:
    cpus = sorted(os.sched_getaffinity(0))[:2]
    try:
        with measure(by="cpu") as measurement:
            for cpu in cpus:
                os.sched_setaffinity(0, [cpu])
                call(EACH + cpu)
            assert totals(measurement.snapshot()) == {cpu: EACH + cpu for cpu in cpus}
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def test_too_many_groups_are_a_loss_counted_exactly(called_by_threads: Any) -> None:
    with measure(by="tid", max_groups=2, output="both") as measurement:
        tids = called_by_threads()
        with pytest.warns(rtrace.LostEventsWarning, match="pairs are missing: {'groups_full': 303}"):
            hist = measurement.snapshot()
        records = collect(measurement, THREADS * EACH)
        trace = measurement.trace([records])
        assert measurement.losses() == {"groups_full": 3 * EACH}
    assert sorted(totals(hist).values()) == [EACH, EACH]
    assert set(totals(hist)) <= set(tids)
    assert dict(hist.losses) == {"groups_full": 3 * EACH}
    # Records need no group.
    assert (len(trace), trace.lost) == (THREADS * EACH, 0)


@pytest.mark.parametrize("by", [None, "tid", "cpu", "comm", "__syscall_nr", "ret"])
def test_both_outputs_agree_record_by_record(by: str | None) -> None:
    with measure(by=by, output="both", unit="ns") as measurement:
        call(1009)
        hist = measurement.snapshot()
        records = collect(measurement, 1009)
        assert len(measurement.read(timeout=0)) == 0
        trace = measurement.trace([records])
    reference = trace.histogram(by=by, unit="ns")
    assert hist.total == len(records) == 1009
    assert np.array_equal(hist.counts, reference.counts)
    assert hist.sum_ns == reference.sum_ns
    assert {key: (part.counts.tolist(), part.sum_ns) for key, part in hist.groups.items()} == {
        key: (part.counts.tolist(), part.sum_ns) for key, part in reference.groups.items()
    }


def test_a_duration_gives_results_that_agree() -> None:
    """From a thread that goes on and on, so that the end comes in the middle of it."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            os.getppid()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        hist, trace = rtrace.tracepoint_latency(START, END, key="tid", pid=os.getpid(), output="both", duration=0.05)
        alone = rtrace.tracepoint_latency(START, END, key="tid", pid=os.getpid(), output="histogram", duration=0.05)
    finally:
        ended.set()
        worker.join()
    assert hist.total == len(trace) > 0
    assert np.array_equal(hist.counts, trace.histogram().counts)
    assert hist.sum_ns == int(trace["latency_ns"].sum())
    assert alone.total > 0
    assert alone.duration >= 0.05


@pytest.mark.parametrize("output", ["records", "histogram"])
def test_starts_that_never_end_are_observed(output: str) -> None:
    """Each thread's last start stays: the end of this pair never comes."""
    with measure(START, WITH_ARGUMENT[1], output=output) as measurement:
        call(1)
        worker = threading.Thread(target=call, args=(1,))
        worker.start()
        worker.join()
        assert measurement.observed()["starts_not_ended"] == 2
        result: Any = measurement.trace([]) if output == "records" else measurement.snapshot()
    assert result.observed["starts_not_ended"] == 2
    assert result.lost == 0


def test_overwritten_starts_are_losses_of_the_histogram() -> None:
    with measure(START, WITH_ARGUMENT[1]) as measurement:
        call(EACH)
        with pytest.warns(rtrace.LostEventsWarning):
            hist = measurement.snapshot()
    assert dict(hist.losses) == {"starts_overwritten": EACH - 1}
    assert hist.total == 0


def test_minimum_latency_leaves_out_and_counts() -> None:
    with measure(min_latency=60.0) as measurement:
        call(EACH)
        hist = measurement.snapshot()
    assert (hist.total, hist.observed["below_minimum"]) == (0, EACH)


def test_intervals_also_in_an_event_loop() -> None:
    histograms = list(measure(interval=0.02, count=3))
    assert len(histograms) == 3
    assert sum(hist.duration for hist in histograms) >= 0.05

    async def take() -> list[rtrace.Histogram]:
        with measure(interval=0.02, count=2, by="tid") as measurement:
            call(EACH)
            return [hist async for hist in measurement]

    tids = [totals(hist) for hist in asyncio.run(take())]
    assert tids == [{threading.get_native_id(): EACH}, {}]


def test_a_result_that_is_saved_is_the_same(tmp_path: Path) -> None:
    with measure(by="ret") as measurement:
        call(EACH)
        hist = measurement.snapshot()
    hist.save(tmp_path / "pairs.npz")
    assert rtrace.Histogram.load(tmp_path / "pairs.npz") == hist
    assert (hist + hist).total == 2 * EACH


def test_a_forgotten_measurement_detaches_with_a_warning() -> None:
    measurement = measure(output="both")
    with pytest.warns(ResourceWarning, match="unclosed <TracepointLatency syscalls:sys_enter_getppid -> "):
        del measurement


def test_requests_by_disk_and_kind(disk_file: Path) -> None:
    """Through the kernel's own struct request, whose end an interrupt may find in the middle of another's."""
    writes = 211
    file = open_for_direct_writes(disk_file, writes * BLOCK)
    ours = writes_of_ours(disk_file, BLOCK)
    with (
        warnings.catch_warnings(action="ignore", category=rtrace.LostEventsWarning),
        mmap.mmap(-1, BLOCK) as block,
        rtrace.disksnoop(filter=ours, output="both", by="rwbs") as by_kind,
        rtrace.disksnoop(filter=ours, output="both", by="dev") as by_disk,
    ):
        for number in range(writes):
            os.pwrite(file, block, number * BLOCK)
        for measurement, by in ((by_kind, "rwbs"), (by_disk, "dev")):
            hist = measurement.snapshot()
            assert writes - told_missing(measurement) <= hist.total <= writes
            trace = measurement.trace([collect(measurement, hist.total)])
            assert totals(hist) == totals(trace.histogram(by=by))
            names = {"rwbs": trace.names("rwbs"), "dev": trace.names("dev")}[by].tolist()
            assert set(totals(hist)) == set(names)
    os.close(file)
