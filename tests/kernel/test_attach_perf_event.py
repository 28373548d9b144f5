"""Perf events: programs run by the CPU clock, by page faults, and not at all."""

from __future__ import annotations

import mmap
import os
import time
from typing import TYPE_CHECKING

import pytest

from rtrace.errors import TargetNotFoundError
from tests.kernel.c_programs import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace._rtrace import Object

SOURCE = """
LICENSE;
COUNTERS
OURS
SEC("perf_event") int tick(void *ctx) { COUNT(is_ours() ? 0 : 1); return 0; }
"""
SOFTWARE = 1
CPU_CLOCK, PAGE_FAULTS = 0, 2


@pytest.fixture
def loaded() -> Iterator[Object]:
    spec = compile_c(SOURCE)
    spec.set_global("target_pid", os.getpid())
    with spec.load({"tick": None}) as made:
        yield made


def count(loaded: Object) -> int:
    return int(loaded.map("counts").lookup(0))


def test_every_page_fault_of_ours_is_counted(loaded: Object) -> None:
    with loaded.attach_perf_event("tick", SOFTWARE, PAGE_FAULTS, sample_period=1, pid=0) as link:
        assert (link.kind, link.target) == ("perf event", "type 1 config 0x2")
        with mmap.mmap(-1, 101 * mmap.PAGESIZE) as memory:
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            before = count(loaded)
            for page in range(101):
                memory[page * mmap.PAGESIZE] = 1
            assert count(loaded) - before >= 101
    after = count(loaded)
    with mmap.mmap(-1, 101 * mmap.PAGESIZE) as memory:
        memory.write(bytes(101 * mmap.PAGESIZE))
    assert count(loaded) == after


def test_the_cpu_clock_ticks_while_we_compute(loaded: Object) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    links = [loaded.attach_perf_event("tick", SOFTWARE, CPU_CLOCK, sample_freq=999, cpu=cpu) for cpu in cpus]
    deadline = time.monotonic() + 60
    while count(loaded) < 11 and time.monotonic() < deadline:
        sum(range(10_000))
    for link in links:
        link.close()
    assert count(loaded) >= 11


def test_what_makes_no_sense_is_refused(loaded: Object) -> None:
    with pytest.raises(ValueError, match="give sample_period or sample_freq"):
        loaded.attach_perf_event("tick", SOFTWARE, CPU_CLOCK, cpu=0)
    with pytest.raises(ValueError, match="not both"):
        loaded.attach_perf_event("tick", SOFTWARE, CPU_CLOCK, sample_freq=9, sample_period=9, cpu=0)
    with pytest.raises(ValueError, match="give `cpu` or `pid`"):
        loaded.attach_perf_event("tick", SOFTWARE, CPU_CLOCK, sample_freq=9)
    with pytest.raises(TargetNotFoundError, match="no such process"):
        loaded.attach_perf_event("tick", SOFTWARE, CPU_CLOCK, sample_freq=9, pid=2**22 + 1)
    with pytest.raises(TargetNotFoundError, match="no such event"):
        loaded.attach_perf_event("tick", SOFTWARE, 999, sample_period=1, cpu=0)
