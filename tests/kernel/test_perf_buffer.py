"""Perf buffers and ring buffers with records of any size: each record of ours delivered once, or counted as lost."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace import _rtrace
from rtrace.errors import ClosedError
from tests.kernel.c_programs import compile_c
from tests.kernel.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace._rtrace import Object, PerfBuffer, RecordBuffer

# One record for each getppid of ours: how many there were before, and text of a length that differs.
SOURCE = """
LICENSE;
OURS
struct event { u64 number; u32 cpu; char text[52]; };
struct { __uint(type, PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 1 << 16); } ring SEC(".maps");
struct { __uint(type, PERCPU_ARRAY); __type(key, u32); __type(value, u64); __uint(max_entries, 1); } ring__lost
    SEC(".maps");
struct event *__rtrace_event_events = 0;
struct event *__rtrace_event_ring = 0;
volatile u64 generated = 0;

static inline int is_call(u64 *ctx) { return ctx[1] == 110 && is_ours(); }
static inline void fill(struct event *event) {
    event->number = generated++;
    event->cpu = bpf_get_smp_processor_id();
    for (int i = 0; i < 52; i++) event->text[i] = 'a' + (event->number + i) % 26;
}
SEC("raw_tp/sys_enter") int to_perf(u64 *ctx) {
    if (!is_call(ctx)) return 0;
    struct event event = {};
    fill(&event);
    bpf_perf_event_output(ctx, &events, 0xffffffffULL, &event, 12 + event.number % 4 * 8);
    return 0;
}
SEC("raw_tp/sys_enter") int to_ring(u64 *ctx) {
    if (!is_call(ctx)) return 0;
    struct event event = {};
    u32 zero = 0;
    u64 *lost;
    fill(&event);
    if (bpf_ringbuf_output(&ring, &event, 12 + event.number % 4 * 8, 0)) {
        lost = bpf_map_lookup_elem(&ring__lost, &zero);
        if (lost) ++*lost;
    }
    return 0;
}
"""


class Event(ctypes.Structure):
    """`struct event` of the program."""

    _fields_ = (("number", ctypes.c_uint64), ("cpu", ctypes.c_uint32), ("text", ctypes.c_char * 52))


@pytest.fixture(scope="module")
def spec() -> _rtrace.ObjectSpec:
    made: _rtrace.ObjectSpec = compile_c(SOURCE)
    made.set_global("target_pid", os.getpid())
    return made


@pytest.fixture
def loaded(spec: _rtrace.ObjectSpec) -> Iterator[Object]:
    with spec.load({"to_perf": None, "to_ring": None}) as made:
        yield made


class Calls:
    """Generates events, on one CPU."""

    def __init__(self) -> None:
        self.cpus = sorted(os.sched_getaffinity(0))

    def make(self, times: int, cpu: int | None = None) -> None:
        """Make so many events, on a CPU if one is given."""
        os.sched_setaffinity(0, [cpu] if cpu is not None else self.cpus)
        for _ in range(times):
            os.getppid()
        os.sched_setaffinity(0, self.cpus)


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def perf(loaded: Object) -> Iterator[PerfBuffer]:
    with loaded.perf_buffer("events") as buffer, loaded.attach_raw_tracepoint("to_perf", "sys_enter"):
        yield buffer


@pytest.fixture
def ring(loaded: Object) -> Iterator[RecordBuffer]:
    with loaded.record_buffer("ring") as buffer, loaded.attach_raw_tracepoint("to_ring", "sys_enter"):
        yield buffer


class Seen:
    """A callback that checks every record and remembers its number."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.cpus: list[int | None] = []

    def __call__(self, cpu: int | None, address: int, size: int) -> None:
        data = ctypes.string_at(address, size)
        number, in_record = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:12], "little")
        length = 12 + number % 4 * 8
        assert data[12:length] == bytes(ord("a") + (number + i) % 26 for i in range(length - 12))
        assert cpu in {None, in_record}
        # The kernel fills perf records up.
        assert size == length if cpu is None else (size + 4) % 8 == 0 and length <= size < length + 8
        self.numbers.append(number)
        self.cpus.append(cpu)


def test_every_record_of_every_cpu_comes_once(perf: PerfBuffer, calls: Calls) -> None:
    seen = Seen()
    for cpu in calls.cpus:
        calls.make(101, cpu)
        assert perf.poll(None, seen) == 101
    assert seen.numbers == list(range(101 * len(calls.cpus)))
    assert seen.cpus == [cpu for cpu in calls.cpus for _ in range(101)]
    assert perf.poll(0, seen) == 0
    assert sum(perf.lost.values()) == 0
    assert set(calls.cpus) <= set(perf.lost)


def test_records_wrap_around_many_times(perf: PerfBuffer, calls: Calls) -> None:
    seen = Seen()
    for _ in range(50):
        calls.make(211)
        while perf.poll(0, seen):
            pass
    assert sorted(seen.numbers) == list(range(50 * 211))


def test_lost_and_delivered_are_all_there_were(loaded: Object, calls: Calls) -> None:
    seen = Seen()
    cpu = calls.cpus[0]
    with loaded.perf_buffer("events", pages=1) as perf, loaded.attach_raw_tracepoint("to_perf", "sys_enter"):
        calls.make(1009, cpu)
        assert perf.poll(0, seen) < 1009
        if running() >= (6, 0):
            assert perf.lost[cpu] + len(seen.numbers) == 1009
        # Older kernels tell of losses when there is room again.
        calls.make(1, cpu)
        perf.poll(0, seen)
        lost = perf.lost
    assert lost[cpu] == sum(lost.values()) == 1010 - len(seen.numbers)
    assert perf.lost == lost


def test_a_callback_that_fails_loses_nothing(perf: PerfBuffer, calls: Calls) -> None:
    seen = Seen()

    def fail_at_7(cpu: int, address: int, size: int) -> None:
        seen(cpu, address, size)
        if seen.numbers[-1] == 7:
            message = "on purpose"
            raise RuntimeError(message)

    calls.make(11)
    with pytest.raises(RuntimeError, match="on purpose"):
        perf.poll(0, fail_at_7)
    assert seen.numbers == list(range(8))
    calls.make(5)
    assert perf.poll(0, seen) == 3
    assert perf.poll(0, seen) == 5
    assert seen.numbers == list(range(16))
    with pytest.raises(TypeError, match="callback must be callable"):
        perf.poll(0, None)  # type: ignore[arg-type]


def test_a_callback_may_poll_and_close(perf: PerfBuffer, calls: Calls) -> None:
    seen = Seen()

    def poll_more(cpu: int, address: int, size: int) -> None:
        seen(cpu, address, size)
        if seen.numbers[-1] == 2:
            calls.make(3)
            assert perf.poll(0, seen) == 3
        if seen.numbers[-1] == 4:
            perf.close()

    calls.make(11)
    assert perf.poll(0, poll_more) == 5
    assert seen.numbers == [0, 1, 2, 11, 12, 13, 3, 4]


def test_arrays_of_both(perf: PerfBuffer, ring: RecordBuffer, calls: Calls) -> None:
    cpu = calls.cpus[-1]
    calls.make(101, cpu)
    cpus, records = perf.read()
    assert records.dtype == perf.dtype == ring.dtype
    assert records.dtype.names == ("number", "cpu", "text")
    assert (records["cpu"] == cpu).all()
    assert np.array_equal(cpus, records["cpu"])
    assert cpus.dtype == np.uint32
    again = ring.read(None)
    # One program ran after the other at each call.
    both = np.stack([records["number"], again["number"]], axis=1).ravel()
    assert sorted(both) == list(range(202))
    first = again[again["number"] % 4 == 3][0]
    assert len(first["text"]) == 24
    kept = records.copy(), again.copy()
    assert len(perf.read(0)[1]) == len(ring.read(0)) == 0
    calls.make(101)
    assert len(perf.read()[1]) == len(ring.read()) == 101
    perf.close()
    ring.close()
    assert (records == kept[0]).all()
    assert (again == kept[1]).all()


def test_records_of_a_given_size(loaded: Object, calls: Calls) -> None:
    with (
        loaded.perf_buffer("events", record_bytes=8) as perf,
        loaded.attach_raw_tracepoint("to_perf", "sys_enter"),
    ):
        calls.make(3)
        _, records = perf.read()
    assert records.view("u8").tolist() == [0, 1, 2]


def test_a_ring_counts_what_did_not_fit(ring: RecordBuffer, calls: Calls) -> None:
    seen = Seen()
    calls.make(5003)
    assert ring.poll(0, seen) == len(seen.numbers) < 5003
    assert seen.numbers == list(range(len(seen.numbers)))
    lost = ring.lost
    assert lost is not None
    assert len(seen.numbers) + sum(lost.values()) == 5003
    assert set(seen.cpus) == {None}
    ring.close()
    assert ring.lost == lost


def test_both_polled_together(perf: PerfBuffer, ring: RecordBuffer, calls: Calls) -> None:
    from_perf, from_ring = Seen(), Seen()
    buffers: list[Any] = [(perf, from_perf), (ring, from_ring)]
    assert _rtrace.poll_buffers(buffers, 0) == 0
    calls.make(7)
    assert _rtrace.poll_buffers(buffers) == 14
    assert len(from_perf.numbers) == len(from_ring.numbers) == 7
    with pytest.raises(TypeError, match="only a PerfBuffer or RecordBuffer can be polled"):
        _rtrace.poll_buffers([(3, print)], 0)  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["perf", "ring"])
def test_the_descriptor_tells_that_records_have_come(kind: str, request: pytest.FixtureRequest, calls: Calls) -> None:
    buffer = request.getfixturevalue(kind)
    poll = select.poll()
    poll.register(buffer, select.POLLIN)
    assert poll.poll(0) == []
    calls.make(1)
    assert poll.poll() == [(buffer.fileno(), select.POLLIN)]
    assert buffer.poll(0, Seen()) == 1


@pytest.mark.parametrize("kind", ["perf", "ring"])
def test_waiting_ends_when_a_record_comes_or_it_is_closed(kind: str, request: pytest.FixtureRequest) -> None:
    buffer = request.getfixturevalue(kind)
    results: list[object] = []

    def wait() -> None:
        try:
            results.append(buffer.poll(None, Seen()))
            buffer.poll(None, Seen())
        except ClosedError as error:
            results.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    os.getppid()
    while not results:
        pass
    buffer.close()
    waiter.join()
    assert results[0] == 1
    assert "is closed" in str(results[1])
    for use in (lambda: buffer.poll(0, Seen()), lambda: buffer.read(0), buffer.fileno):
        with pytest.raises(ClosedError):
            use()
    buffer.close()


def test_few_records_come_without_being_woken(loaded: Object, calls: Calls) -> None:
    with (
        loaded.perf_buffer("events", wakeup_events=1000) as perf,
        loaded.attach_raw_tracepoint("to_perf", "sys_enter"),
    ):
        calls.make(3)
        assert perf.poll(None, Seen()) == 3


def test_a_signal_ends_the_wait(perf: PerfBuffer) -> None:
    class OnPurposeError(Exception):
        pass

    def handle(*_: object) -> None:
        raise OnPurposeError

    def wait() -> None:
        # Here, because on a busy machine the signal may come before the wait begins.
        threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1]).start()
        perf.poll(None, Seen())

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(OnPurposeError):
            wait()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_events_that_are_kept_are_copies(perf: PerfBuffer, calls: Calls) -> None:
    events: list[Event] = []

    def collect(_cpu: int, address: int, _size: int) -> None:
        events.append(Event.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(Event))))

    calls.make(4)
    perf.poll(0, collect)
    calls.make(4)
    perf.poll(0, Seen())
    assert [event.number for event in events] == [0, 1, 2, 3]
    assert events[3].text.startswith(b"defghijklmnopqrstuvwxyza")


def test_what_makes_no_sense_is_refused(loaded: Object) -> None:
    with pytest.raises(ValueError, match="pages must be a power of two, wakeup_events at least 1, not 3 and 1"):
        loaded.perf_buffer("events", pages=3)
    with pytest.raises(ValueError, match="not 8 and 0"):
        loaded.perf_buffer("events", wakeup_events=0)
    with pytest.raises(TypeError, match="map `ring` is not a perf event array"):
        loaded.perf_buffer("ring")
    with pytest.raises(TypeError, match="map `events` is not a ring buffer"):
        loaded.record_buffer("events")


def test_records_without_a_type_cannot_be_read_as_arrays() -> None:
    spec = compile_c("""
    LICENSE;
    struct { __uint(type, PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
    """)
    with spec.load({}) as loaded, loaded.perf_buffer("events") as perf:
        assert perf.dtype is None
        with pytest.raises(TypeError, match="records of `events` have no type"):
            perf.read(0)


def test_a_buffer_that_is_forgotten_warns_and_goes(loaded: Object) -> None:
    with pytest.warns(ResourceWarning, match="unclosed <PerfBuffer events>"):
        loaded.perf_buffer("events")
    with pytest.warns(ResourceWarning, match="unclosed <RecordBuffer ring>"):
        loaded.record_buffer("ring")
