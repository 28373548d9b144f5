"""Perf and ring buffers: every event of a known number of reads, and every loss."""

from __future__ import annotations

import gc
import os
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.bcc import BPF
from rtrace.errors import ClosedError, LostEventsWarning, MapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Reader

READS = 1009
TYPE = "struct data_t { u32 tid; u64 number; char comm[16]; };"
FILL = """
    int zero = 0;
    u64 *n = count.lookup(&zero);
    if (!n) return 0;
    struct data_t data = {};
    data.tid = bpf_get_current_pid_tgid();
    data.number = (*n)++;
    bpf_get_current_comm(&data.comm, sizeof(data.comm));
"""
PERF = (f"{TYPE} BPF_ARRAY(count, u64, 1); BPF_PERF_OUTPUT(events);",
        f"{FILL} events.perf_submit(args, &data, sizeof(data));")  # fmt: skip
RING = (f"{TYPE} BPF_ARRAY(count, u64, 1); BPF_RINGBUF_OUTPUT(events, 16);",
        f"{FILL} events.ringbuf_output(&data, sizeof(data), 0);")  # fmt: skip


def test_perf_buffer_calls_back_for_every_event(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*PERF)
    seen: list[tuple[int, int, bytes]] = []

    def handle(cpu: int, data: int, size: int) -> None:
        event = b["events"].event(data)
        assert size >= 32
        assert cpu >= 0
        seen.append((event.tid, event.number, event.comm))

    b["events"].open_perf_buffer(handle, page_cnt=64)
    reader.read(READS)
    while len(seen) < READS:
        b.perf_buffer_poll()
    assert sorted(number for _, number, _ in seen) == list(range(READS))
    assert {tid for tid, _, _ in seen} == {reader.tid}
    name = Path(f"/proc/self/task/{reader.tid}/comm").read_bytes().rstrip()
    assert {comm for _, _, comm in seen} == {name}
    b.perf_buffer_poll(0)
    b.perf_buffer_consume()
    b.kprobe_poll(timeout=1)
    assert len(seen) == READS


def test_ring_buffer_calls_back_for_every_event(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*RING)
    seen: list[int] = []

    def handle(ctx: Any, data: int, size: int) -> None:
        assert (ctx, size) == ("mine", 32)
        seen.append(b["events"].event(data).number)

    b["events"].open_ring_buffer(handle, ctx="mine")
    reader.read(READS)
    while len(seen) < READS:
        b.ring_buffer_poll()
    assert seen == list(range(READS))
    b.ring_buffer_consume()
    assert len(seen) == READS


@pytest.mark.parametrize("way", [PERF, RING])
def test_read_gives_a_numpy_batch(on_read: Callable[..., BPF], reader: Reader, way: tuple[str, str]) -> None:
    b = on_read(*way)
    assert len(b["events"].read(0)) == 0
    reader.read(101)
    batch = b["events"].read(None)
    assert batch.dtype.names == ("tid", "number", "comm")
    assert np.array_equal(np.sort(batch["number"]), np.arange(101))
    assert set(batch["tid"].tolist()) == {reader.tid}


def test_a_buffer_of_chosen_size_may_be_for_reading_alone(on_read: Callable[..., BPF], reader: Reader) -> None:
    perf, ring = on_read(*PERF), on_read(*RING)
    perf["events"].open_perf_buffer(None, page_cnt=2)
    ring["events"].open_ring_buffer(None, ctx="not used")
    reader.read(7)
    for b in (perf, ring):
        assert b["events"].read(0)["number"].tolist() == list(range(7))


@pytest.mark.parametrize("way", [PERF, RING])
def test_what_a_callback_raises_comes_out_of_the_poll(
    on_read: Callable[..., BPF], reader: Reader, way: tuple[str, str]
) -> None:
    b = on_read(*way)

    def handle(*_: Any) -> None:
        raise ZeroDivisionError

    if way is PERF:
        b["events"].open_perf_buffer(handle)
    else:
        b["events"].open_ring_buffer(handle)
    reader.read(1)
    with pytest.raises(ZeroDivisionError):
        b.perf_buffer_poll() if way is PERF else b.ring_buffer_poll()


def test_losses_of_a_perf_buffer_are_counted_to_the_last(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*PERF)
    seen: list[int] = []
    lost: list[int] = []
    b["events"].open_perf_buffer(lambda *_: seen.append(1), page_cnt=1, lost_cb=lost.append)
    reader.read(READS)
    # The kernel tells of losses when it next writes.
    b.perf_buffer_poll(0)
    reader.read(1)
    b.perf_buffer_poll(0)
    assert lost
    assert len(seen) + sum(lost) == READS + 1
    assert b["events"].lost == sum(lost)


def test_losses_of_a_ring_buffer_are_counted_to_the_last(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(RING[0].replace("16)", "1)"), RING[1])
    seen: list[int] = []
    b["events"].open_ring_buffer(lambda *_: seen.append(1))
    reader.read(READS)
    b.ring_buffer_consume()
    assert b["events"].lost > 0
    assert len(seen) + b["events"].lost == READS


def test_losses_that_nobody_asks_about_are_told_at_the_end(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(RING[0].replace("16)", "1)"), RING[1])
    b["events"].open_ring_buffer(lambda *_: None)
    reader.read(READS)
    b.ring_buffer_consume()
    with pytest.warns(LostEventsWarning, match="events of `events` were lost"):
        b.close()


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Have no garbage collected but by the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("way", [PERF, RING])
def test_callbacks_that_mention_their_object_are_garbage_with_it(way: tuple[str, str], reader: Reader) -> None:
    def watch() -> weakref.ref[BPF]:
        b = BPF(text=f"{way[0]} TRACEPOINT_PROBE(syscalls, sys_enter_read) {{ {way[1]} return 0; }}")
        if way is PERF:
            b["events"].open_perf_buffer(
                lambda _, data, __: b["events"].event(data), lost_cb=lambda _: b["events"].lost
            )
        else:
            b["events"].open_ring_buffer(lambda _, data, __: b["events"].event(data))
        reader.read(1)
        b.perf_buffer_poll(0)
        b.ring_buffer_poll(0)
        return weakref.ref(b)

    before = len(os.listdir("/proc/self/fd"))
    watched = [watch() for _ in range(7)]
    assert len(os.listdir("/proc/self/fd")) > before
    gc.collect()
    assert [b for b in watched if b() is not None] == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("no_collection")
def test_callbacks_that_do_not_are_gone_at_once() -> None:
    before = len(os.listdir("/proc/self/fd"))
    b = BPF(text=f"{PERF[0]} TRACEPOINT_PROBE(syscalls, sys_enter_read) {{ {PERF[1]} return 0; }}")
    b["events"].open_perf_buffer(print)
    b.load_func("tracepoint__syscalls__sys_enter_read", BPF.TRACEPOINT)
    del b
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_callback_is_called_whoever_holds_the_table(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*RING)
    seen: list[int] = []
    b.get_table("events").open_ring_buffer(lambda _, __, size: seen.append(size))
    reader.read(3)
    while len(seen) < 3:
        b.ring_buffer_poll()
    assert seen == [32] * 3


def test_what_fails_to_open_leaves_what_was_open(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*PERF)
    seen: list[int] = []

    def handle(_cpu: int, data: int, _size: int) -> None:
        seen.append(b["events"].event(data).number)

    with pytest.raises(MapError):
        b["events"].open_perf_buffer(handle, page_cnt=2**30)
    b["events"].open_perf_buffer(handle)
    for wrong in ({"page_cnt": 2**30}, {"wakeup_events": 0}, {"page_cnt": 2**80}):
        with pytest.raises((MapError, ValueError, OverflowError)):
            b["events"].open_perf_buffer(print, **wrong)
    reader.read(5)
    while len(seen) < 5:
        b.perf_buffer_poll()
    b["events"].open_perf_buffer(handle, page_cnt=2)
    reader.read(2)
    while len(seen) < 7:
        b.perf_buffer_poll()
    assert sorted(seen) == list(range(7))


def test_a_ring_buffer_opened_again_has_what_the_first_reader_left(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(*RING)
    b["events"].open_ring_buffer(print)
    reader.read(3)
    seen: list[int] = []
    b["events"].open_ring_buffer(lambda _, data, __: seen.append(b["events"].event(data).number))
    reader.read(2)
    while len(seen) < 5:
        b.ring_buffer_poll()
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("way", [PERF, RING])
def test_nothing_opens_once_it_is_closed(on_read: Callable[..., BPF], way: tuple[str, str]) -> None:
    b = on_read(*way)
    table = b["events"]
    opening = table.open_perf_buffer if way is PERF else table.open_ring_buffer
    opening(print)
    b.close()
    for _ in range(2):
        with pytest.raises(ClosedError):
            opening(print)
    assert b.ring_buffer_poll(0) == 0
    b.perf_buffer_poll(0)


def test_all_is_closed_before_losses_are_told(reader: Reader) -> None:
    before = len(os.listdir("/proc/self/fd"))
    source = (
        f"{PERF[0]} BPF_RINGBUF_OUTPUT(ring, 1); TRACEPOINT_PROBE(syscalls, sys_enter_read) {{ {PERF[1]} return 0; }}"
    )
    b = BPF(text=source)
    b["events"].open_perf_buffer(lambda *_: None, page_cnt=1)
    b["ring"].open_ring_buffer(lambda *_: None)
    b.trace_open(nonblocking=True)
    reader.read(READS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LostEventsWarning, match="events of `events` were lost"):
            b.close()
    assert b.closed
    assert len(os.listdir("/proc/self/fd")) == before
    b.close()


def test_wrong_pages_and_unknown_types_say_so(on_read: Callable[..., BPF]) -> None:
    b = on_read("BPF_PERF_OUTPUT(events);", "")
    with pytest.raises(ValueError, match="power of two, not 3"):
        b["events"].open_perf_buffer(print, page_cnt=3)
    with pytest.raises(MapError, match="no program says what type they have"):
        b["events"].event(0)


def test_two_perf_buffers_are_polled_together(on_read: Callable[..., BPF], reader: Reader) -> None:
    declarations = f"{TYPE} BPF_ARRAY(count, u64, 1); BPF_PERF_OUTPUT(odd); BPF_PERF_OUTPUT(even);"
    body = f"""{FILL}
    if (data.number % 2) odd.perf_submit(args, &data, sizeof(data));
    else even.perf_submit(args, &data, sizeof(data));
    """
    b = on_read(declarations, body)
    seen: dict[str, list[int]] = {"odd": [], "even": []}
    for name, numbers in seen.items():

        def handle(_cpu: int, data: int, _size: int, name: str = name, numbers: list[int] = numbers) -> None:
            numbers.append(b[name].event(data).number)

        b[name].open_perf_buffer(handle, page_cnt=64)
    reader.read(101)
    while len(seen["odd"]) + len(seen["even"]) < 101:
        b.perf_buffer_poll()
    assert sorted(seen["odd"]) == list(range(1, 101, 2))
    assert sorted(seen["even"]) == list(range(0, 101, 2))
