"""Objects made of events: copies that stay as long as somebody has them, and are filled again when nobody has."""

from __future__ import annotations

import ctypes as ct
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rtrace import _rtrace
from rtrace.bcc import ctypes_types
from tests.unit.bcc.descriptions import CHAR, U16, U32, U64, array, member, struct

if TYPE_CHECKING:
    from collections.abc import Callable

PAIR = struct("pair", 4, member("low", 0, U16), member("high", 2, U16))
EVENT = struct(
    "event", 48, member("pid", 0, U32), member("pair", 4, PAIR), member("ts", 8, U64),
    member("comm", 16, array(CHAR, 16)), member("numbers", 32, array(U32, 4)),
)  # fmt: skip
Made = ctypes_types.build(EVENT)
# Where objects are counted in another way none is filled again.
COUNTED = getattr(sys, "_is_gil_enabled", lambda: True)()


def record(number: int) -> Any:
    """Return an event as it lies in a buffer."""
    return Made(number, (number % 7, 2), number << 32, b"name%d" % number, (number, 1, 2, number))


def event_of(make_class: Callable[[], Any]) -> Callable[[int], Any]:
    """Return the method of a table whose events are of the class that a function gives."""

    class Table(_rtrace.EventMaker):
        @property
        def event_type(self) -> Any:
            return make_class()

    return Table().event


@pytest.fixture
def event() -> Callable[[int], Any]:
    """Return a table's `event`, as callbacks call it."""
    return event_of(lambda: Made)


def check(made: Any, number: int) -> None:
    assert isinstance(made, Made)
    assert (made.pid, made.ts, made.comm) == (number, number << 32, b"name%d" % number)
    assert (made.pair.low, made.pair.high, list(made.numbers)) == (number % 7, 2, [number, 1, 2, number])


def test_what_is_kept_stays(event: Callable[[int], Any]) -> None:
    records = [record(number) for number in range(101)]
    kept = [event(ct.addressof(each)) for each in records]
    for each in records:
        ct.memset(ct.addressof(each), 255, ct.sizeof(each))
    for number, made in enumerate(kept):
        check(made, number)
    assert len({id(made) for made in kept}) == 101


def test_what_nobody_has_is_filled_again(event: Callable[[int], Any]) -> None:
    first, second = record(1), record(2)
    made = event(ct.addressof(first))
    place = id(made)
    del made
    made = event(ct.addressof(second))
    check(made, 2)
    assert (id(made) == place) == COUNTED


@pytest.mark.parametrize(
    ("keep", "look"),
    [
        (lambda made: made.pair, lambda pair: pair.low == 1),
        (lambda made: made.numbers, lambda numbers: numbers[3] == 1),
        (memoryview, lambda view: bytes(view) == bytes(record(1))),
        (ct.pointer, lambda pointer: pointer.contents.pid == 1),
        (lambda made: made.comm, lambda comm: comm == b"name1"),
        (lambda made: lambda: made.pid, lambda closure: closure() == 1),
    ],
)
def test_a_part_that_is_kept_keeps_the_whole(
    event: Callable[[int], Any], keep: Callable[[Any], Any], look: Callable[[Any], bool]
) -> None:
    records = [record(number) for number in (1, 2, 3)]
    kept = keep(event(ct.addressof(records[0])))
    for each in records[1:]:
        event(ct.addressof(each))
    assert look(kept)


def test_what_a_script_adds_to_one_event_is_not_on_the_next(event: Callable[[int], Any]) -> None:
    first, second = record(1), record(2)
    made = event(ct.addressof(first))
    made.note = "seen"
    made.pid = 99
    del made
    made = event(ct.addressof(second))
    check(made, 2)
    assert not hasattr(made, "note")


def test_an_event_that_was_enlarged_is_filled_where_it_is_now(event: Callable[[int], Any]) -> None:
    first, second = record(1), record(2)
    made = event(ct.addressof(first))
    ct.resize(made, 1 << 16)
    del made
    check(event(ct.addressof(second)), 2)


def test_classes_of_any_size_and_without_members_of_their_own() -> None:
    class Small(ct.Structure):
        __slots__ = ()
        _fields_ = (("number", ct.c_uint8),)

    event = event_of(lambda: Small)
    places = (ct.c_uint8 * 5)(*range(5))
    assert [event(ct.addressof(places) + offset).number for offset in range(5)] == list(range(5))


def test_making_one_while_another_is_made_gives_two() -> None:
    made: list[Any] = []
    place = ct.c_uint32(7)

    class Nested(ct.Structure):
        _fields_ = (("number", ct.c_uint32),)

        def __init__(self) -> None:
            super().__init__()
            if len(made) < 3:
                made.append(self)
                made.append(event(ct.addressof(place)))

    event = event_of(lambda: Nested)
    made.append(event(ct.addressof(place)))
    assert len({id(each) for each in made}) >= 3
    assert made[-1].number == 7


def test_threads_get_objects_of_their_own(event: Callable[[int], Any]) -> None:
    wrong: list[int] = []

    def use(number: int) -> None:
        mine = record(number)
        for _ in range(2000):
            made = event(ct.addressof(mine))
            if (made.pid, made.numbers[3], made.comm) != (number, number, b"name%d" % number):
                wrong.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_cannot_be_made_says_so_each_time() -> None:
    calls: list[int] = []

    def make_class() -> Any:
        calls.append(1)
        message = "no type"
        raise LookupError(message)

    event = event_of(make_class)
    for _ in range(2):
        with pytest.raises(LookupError, match="no type"):
            event(0)
    assert len(calls) == 2
    for without_room in (lambda: object, lambda: bytes):
        with pytest.raises((TypeError, BufferError)):
            event_of(without_room)(0)


def test_what_is_no_address_is_refused(event: Callable[[int], Any]) -> None:
    for wrong in (None, "1", 1.5, b"1"):
        with pytest.raises(TypeError):
            event(wrong)  # type: ignore[arg-type]
    for wrong in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            event(wrong)
    for _ in range(2):
        with pytest.raises(ValueError, match="the address that a buffer's callback was given, not 0"):
            event(0)
    with pytest.raises(TypeError):
        _rtrace.EventMaker.event(Made, 0)
    with pytest.raises(AttributeError, match="event_type"):
        _rtrace.EventMaker().event(0)


def test_a_table_may_have_a_method_of_its_own() -> None:
    class Table(_rtrace.EventMaker):
        event_type = Made

        def event(self, address: int) -> Any:
            return super().event(address).pid

    first = record(5)
    assert Table().event(ct.addressof(first)) == 5
