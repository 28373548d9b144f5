"""Perf and ring buffers: every event of a known number of reads, and every loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.errors import LostEventsWarning, MapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrace.bcc import BPF
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
