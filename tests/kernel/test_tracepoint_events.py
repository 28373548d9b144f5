"""The tracepoint_events shape on a live kernel: every hit becomes a record, exactly, or is counted as lost."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import rtrace
from rtrace import _rtrace, tracefs
from rtrace.errors import ClosedError, TargetNotFoundError
from tests.kernel.conftest import collect

# A system call that nothing makes by itself, and cheap.
HIT = "syscalls:sys_enter_getppid"
HITS = 10_007


def hit(times: int) -> None:
    for _ in range(times):
        os.getppid()


def test_every_hit_is_a_record() -> None:
    tid = threading.get_native_id()
    with rtrace.tracepoint_events(HIT, tid=tid) as recording:
        hit(HITS)
        records = collect(recording, HITS)
        assert len(recording.read(timeout=0)) == 0
        trace = recording.trace([records])
    assert len(records) == HITS
    assert (records["tid"] == tid).all()
    assert (records["pid"] == os.getpid()).all()
    assert (np.diff(records["ts_ns"].astype(np.int64)) >= 0).all()
    assert trace.lost == 0
    assert trace.observed["hits"] - trace.observed["filtered"] == HITS
    assert trace.target == HIT


def test_a_flood_is_delivered_or_counted() -> None:
    """With a ring of one page most of it is lost; delivered and lost make up the whole."""
    size = os.sysconf("SC_PAGE_SIZE")
    with rtrace.tracepoint_events(HIT, tid=threading.get_native_id(), ring_bytes=size) as recording:
        hit(HITS)
        delivered = len(recording.read(timeout=30))
        while len(batch := recording.read(timeout=0)):
            delivered += len(batch)
        lost = sum(recording.lost_per_cpu())
        assert delivered + lost == HITS
        if lost:
            with pytest.warns(rtrace.LostEventsWarning):
                trace = recording.trace([])
            assert trace.lost >= lost


def test_held_memory_is_bounded() -> None:
    """A reader that does not come costs what max_bytes says; then the ring fills up, then losses are counted."""
    size = os.sysconf("SC_PAGE_SIZE")
    with rtrace.tracepoint_events(HIT, tid=threading.get_native_id(), ring_bytes=size, max_bytes=size) as recording:
        hit(HITS)
        lost = sum(recording.lost_per_cpu())
        assert lost > HITS // 2
        first = recording.read(timeout=0)
        assert first.nbytes <= size
        delivered = len(first)
        while len(batch := recording.read(timeout=0)):
            delivered += len(batch)
        assert delivered + lost == HITS


def test_filters_are_decided_in_the_kernel() -> None:
    tid = threading.get_native_id()
    comm = Path("/proc/self/comm").read_text().strip()
    wanted = {
        f"tid == {tid}": 101,
        f'comm == "{comm}" and tid == {tid}': 101,
        f'comm == "{comm[:-1]}" and tid == {tid}': 0,
        f'comm ~ "{comm[:2]}*" and tid == {tid}': 101,
        f'comm != "{comm}" and tid == {tid}': 0,
        f"tid == {tid} and __syscall_nr >= 0": 101,
        f"tid == {tid} and __syscall_nr < 0": 0,
        f"tid == {tid} and (__syscall_nr < 0 or pid > 0)": 101,
        f"not (tid != {tid})": 101,
    }
    for expression, expected in wanted.items():
        with rtrace.tracepoint_events(HIT, filter=expression) as recording:
            hit(101)
            got = len(collect(recording, expected)) if expected else len(recording.read(timeout=0))
            assert got == expected, expression
            assert recording.observed()["filtered"] >= 101 - expected


def test_fields_of_every_kind() -> None:
    """sched_process_exec has dynamic text, sched_switch fixed text and signed numbers."""
    # Blocked before the fork: the signal may come before the child waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    pid = os.fork()
    if pid == 0:
        signal.sigwait({signal.SIGUSR1})
        os.execv("/bin/true", ["true"])  # noqa: S606
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    with rtrace.tracepoint_events("sched:sched_process_exec", pid=pid) as recording:
        os.kill(pid, signal.SIGUSR1)
        os.waitpid(pid, 0)
        (record,) = collect(recording, 1)
    assert record["filename"] == b"/bin/true"
    assert record["pid_"] == pid
    assert record["comm"] == b"true"


def test_enumerators_of_the_format_are_the_kernels() -> None:
    """Every name that the formats have for a number and BTF knows is in the tables, and BTF is why."""
    text = tracefs.format_text("block:block_rq_issue")
    (plain,) = _rtrace.parse_format(text)["tables"] or [None]
    if plain is None or not plain["unresolved"]:
        # Before 6.8 there is no priority in it.
        assert "ioprio" not in text
        return
    (table,) = rtrace.tracepoint_format("block:block_rq_issue").facts["tables"]
    assert table["unresolved"] == []
    assert dict(table["values"])[1] == "rt"
    assert dict(table["values"])[3] == "idle"


def test_chosen_fields_only() -> None:
    with rtrace.tracepoint_events("sched:sched_switch", fields=["next_pid", "prev_comm"]) as recording:
        assert recording.dtype.names == ("ts_ns", "pid", "tid", "comm", "cpu", "prev_comm", "next_pid")
        assert recording.dtype["next_pid"] == np.int32
        assert recording.dtype["prev_comm"] == np.dtype("S16")


def test_text_ends_at_its_nul() -> None:
    """What the kernel leaves behind a NUL is not part of the text."""
    trace = rtrace.tracepoint_events("sched:sched_switch", duration=0.2, pid=os.getpid())
    for text in np.unique(trace.records["next_comm"]):
        assert b"\0" not in text


def test_unknown_names_suggest_near_ones() -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        rtrace.tracepoint_events("sched:sched_swich", duration=1)
    assert "sched:sched_switch" in caught.value.suggestions
    with pytest.raises(ValueError, match="did you mean next_pid"):
        rtrace.tracepoint_events("sched:sched_switch", fields=["next_pidd"], duration=1)
    with pytest.raises(ValueError, match="next_pid"):
        rtrace.tracepoint_events("sched:sched_switch", filter="next_pidd == 1", duration=1)
    with pytest.raises(ValueError, match="not the name of a tracepoint"):
        rtrace.tracepoint_events("sched_switch", duration=1)


def test_a_closed_recording_says_so() -> None:
    recording = rtrace.tracepoint_events(HIT)
    recording.close()
    recording.close()
    with pytest.raises(ClosedError):
        recording.read(timeout=0)


def test_recording_for_a_time_gives_a_trace_that_can_be_saved(tmp_path: Path) -> None:
    worker = threading.Thread(target=hit, args=(101,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with rtrace.tracepoint_events(HIT, pid=os.getpid()) as recording:
            worker.start()
            worker.join()
            trace = recording.record(0.05)
    path = tmp_path / "trace.npz"
    trace.save(path)
    assert np.array_equal(rtrace.Trace.load(path).records, trace.records)
    assert len(trace) == 101
