"""Tables as mappings from ctypes keys to ctypes leaves, over a map in memory."""

from __future__ import annotations

import ctypes as ct
from pathlib import Path
from typing import Any, cast

import pytest

from rtrace.bcc import ctypes_types
from rtrace.bcc.tables import per_cpu
from rtrace.bcc.tables.array import Array, OutOfRangeError
from rtrace.bcc.tables.hash import HashTable
from rtrace.bcc.tables.make import CLASSES, make
from rtrace.bcc.tables.stack import BUILD_ID_FLAG, StackTrace
from rtrace.errors import MapError, MapKeyError, NotSupportedError
from tests.unit.bcc.descriptions import BOOL, CHAR, S32, U8, U16, U32, U64, U128, array, member, struct
from tests.unit.bcc.fake_map import FakeMap, owner

WIDE: Any = type("wide", (ct.Structure,), {"_fields_": [("words", ct.c_uint32 * 3)]})
PAIR = struct("pair", 8, member("a", 0, U32), member("b", 4, U32))


def table(key: dict[str, Any] | None = U32, leaf: dict[str, Any] | None = U64, **facts: Any) -> Any:
    """Return a table over an empty map in memory."""
    fake = FakeMap(**facts)
    return make(owner(), cast("Any", fake), {"key": key, "value": leaf, "event": None})


@pytest.fixture
def counts() -> HashTable:
    made = table()
    for key in (3, 5, 7):
        made[key] = key * 10
    return cast("HashTable", made)


def test_a_hash_is_a_mapping_of_ctypes(counts: HashTable) -> None:
    assert counts[3].value == counts[ct.c_uint(3)].value == 30
    assert counts[counts.Key(5)].value == 50
    assert [(key.value, leaf.value) for key, leaf in counts.items()] == [(3, 30), (5, 50), (7, 70)]
    assert [key.value for key in counts] == [key.value for key in counts.keys()] == [3, 5, 7]  # noqa: SIM118
    assert [leaf.value for leaf in counts.values()] == [leaf.value for leaf in counts.itervalues()] == [30, 50, 70]
    assert len(counts) == 3
    assert 3 in counts
    assert 4 not in counts
    assert counts.get(4) is None
    assert counts.pop(7).value == 70


def test_a_key_that_is_not_there_is_a_key_error(counts: HashTable) -> None:
    with pytest.raises(KeyError) as caught:
        counts[ct.c_uint(9)]
    assert isinstance(caught.value, MapKeyError)
    assert str(caught.value) == "look up in map `fake`: no key 0x9"
    with pytest.raises(MapKeyError, match="no key 9"):
        del counts[9]


def test_what_is_no_key_says_what_the_key_is() -> None:
    types = {"key": PAIR, "value": U64, "event": None}
    pairs: Any = make(owner(), cast("Any", FakeMap(key=8)), types)
    refused: list[Any] = [[], (), (1, 2, 3), "x"]
    for key in refused:
        with pytest.raises(ValueError, match=r"pair has 2 members \(a, b\), got"):
            pairs[key]
        with pytest.raises(ValueError, match="pair has 2 members"):
            del pairs[key]
    with pytest.raises(MapKeyError, match=r"no key \[1, 2\]"):
        pairs[[1, 2]]
    with pytest.raises(TypeError, match="expected a c_uint, got None"):
        table()[None]


def test_a_value_of_128_bits_is_every_cpus() -> None:
    wide = table(leaf=U128, map_type=5, value=16)
    wide.total_cpu = 2
    wide._leaf_size = 32
    wide._map._entry_bytes = 32
    for one in (2**64, ctypes_types.build(U128)(2**64)):
        wide[1] = one
        assert wide._map.lookup_bytes(b"\1\0\0\0") == (2**64).to_bytes(16, "little") * 2


def test_entries_may_go_while_one_walks(counts: HashTable) -> None:
    for key in counts:
        del counts[key]
    assert counts.items() == []


def test_next_walks_in_the_kernels_order(counts: HashTable) -> None:
    first = counts.next(None)
    second = counts.next(first)
    assert (first.value, second.value) == (3, 5)
    with pytest.raises(StopIteration):
        counts.next(7)


def test_clear_removes_and_zero_keeps(counts: HashTable) -> None:
    counts.zero()
    assert [leaf.value for leaf in counts.values()] == [0, 0, 0]
    counts.clear()
    assert len(counts) == 0


def test_batches(counts: HashTable) -> None:
    keys, leaves = (counts.Key * 2)(1, 2), (counts.Leaf * 2)(10, 20)
    counts.items_update_batch(keys, leaves)
    assert counts[2].value == 20
    counts.items_delete_batch((counts.Key * 3)(1, 3, 99))
    assert [(key.value, leaf.value) for key, leaf in counts.items_lookup_batch()] == [(5, 50), (7, 70), (2, 20)]
    taken = counts.items_lookup_and_delete_batch()
    assert len(counts) == 0
    assert [(key.value, leaf.value) for key, leaf in taken] == [(5, 50), (7, 70), (2, 20)]
    counts.items_update_batch([ct.c_uint(1)], [7])
    counts.items_delete_batch()
    assert len(counts) == 0
    with pytest.raises(ValueError, match="2 keys but 1 values"):
        counts.items_update_batch([1, 2], [1])


@pytest.mark.parametrize(
    ("keys", "leaves", "error", "said"),
    [
        ((ct.c_uint32 * 0)(), (ct.c_uint64 * 0)(), ValueError, "no keys for `fake`"),
        ([1], [], ValueError, "no leaves for `fake`"),
        (range(65), range(65), ValueError, "65 keys for `fake`, which has room for 64"),
        (5, [1], TypeError, "keys of `fake` come as a ctypes array or another iterable, not int"),
        (None, [1], TypeError, "keys of `fake` come as a ctypes array or another iterable, not NoneType"),
        ([1], b"8 bytes.", TypeError, "leaves of `fake` come as a ctypes array or another iterable, not bytes"),
        ((WIDE * 1)(), [1], ValueError, "c_uint has 4 bytes, got 12"),
        ([1, "2"], [1, 2], TypeError, "a key of `fake` cannot be '2'"),
        (["1"], [1], TypeError, "a key of `fake` cannot be '1'"),
    ],
)
def test_batches_of_the_wrong_kind(counts: HashTable, keys: Any, leaves: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        counts.items_update_batch(keys, leaves)
    if keys is not None and said.startswith(("no k", "65", "k", "a k", "c_")):
        with pytest.raises(error, match=said):
            counts.items_delete_batch(keys)
    assert len(counts) == 3


def test_batches_of_a_table_with_a_leaf_for_each_cpu() -> None:
    made = table(map_type=5)
    made.items_update_batch((made.Key * 2)(1, 2), (made.Leaf * 2)((1, 2, 3, 4), (5, 6, 7, 8)))
    made.items_update_batch([3], [9])
    assert [list(leaf) for leaf in made.values()] == [[1, 2, 3, 4], [5, 6, 7, 8], [9] * 4]


def test_struct_keys_come_as_structs_and_tuples() -> None:
    fake = FakeMap(key=8)
    pairs: Any = make(owner(), cast("Any", fake), {"key": PAIR, "value": U64, "event": None})
    assert isinstance(pairs, HashTable)
    pairs[1, 2] = 5
    assert pairs[pairs.Key(1, 2)].value == 5
    assert [(key.a, key.b) for key in pairs] == [(1, 2)]
    assert pairs.key_sprintf((1, 2)) == b"{ 0x1 0x2 }"
    assert pairs.leaf_sprintf(5) == b"0x5"


def test_types_that_the_user_names_win_over_those_of_c() -> None:
    fake = FakeMap(key=8)
    kind = type("mine", (ct.Structure,), {"_fields_": [("x", ct.c_uint64)]})
    types = {"key": PAIR, "value": U64, "event": None}
    made = make(owner(), cast("Any", fake), types, key=kind, leaf=ct.c_int64)
    assert isinstance(made, HashTable)
    made[kind(7)] = -1
    assert [(key.x, leaf.value) for key, leaf in made.items()] == [(7, -1)]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"leaf": ct.c_uint8}, ValueError, "leaftype of `fake`: c_u?byte has 1 bytes, a leaf of the map 8"),
        ({"leaf": ct.c_uint64 * 2}, ValueError, "has 16 bytes, a leaf of the map 8"),
        ({"key": ct.c_uint64}, ValueError, "keytype of `fake`: c_u?long has 8 bytes, a key of the map 4"),
        ({"key": int}, TypeError, "keytype of `fake` must be a ctypes class, not <class 'int'>"),
        ({"leaf": "u64"}, TypeError, "leaftype of `fake` must be a ctypes class, not 'u64'"),
        ({"leaf": ct.c_uint64(1)}, TypeError, "must be a ctypes class, not c_u"),
    ],
)
def test_types_of_another_size_are_refused(given: dict[str, Any], error: type[Exception], said: str) -> None:
    for map_type in (1, 2, 5):
        with pytest.raises(error, match=said):
            make(owner(), cast("Any", FakeMap(map_type=map_type)), {"key": U32, "value": U64}, **given)


def test_types_that_a_table_has_no_use_for_do_not_matter() -> None:
    stacks = make(owner(), cast("Any", FakeMap(map_type=7, value=1016)), {}, key=ct.c_uint64, leaf=ct.c_uint8)
    assert ct.sizeof(cast("Any", stacks).Leaf) == 1016
    queue = make(owner(), cast("Any", FakeMap(map_type=22, key=0)), {"value": U64}, key=ct.c_uint32)
    assert ct.sizeof(queue.Leaf) == 8


def test_without_types_entries_are_numbers_or_bytes() -> None:
    made = make(owner(), cast("Any", FakeMap(key=4, value=3)), {"key": None, "value": None, "event": None})
    assert isinstance(made, HashTable)
    made[1] = (1, 2, 3)
    assert bytes(made[1]) == b"\1\2\3"


def test_an_array_takes_indices_from_both_ends() -> None:
    slots = table(key=S32, map_type=2, entries=4)
    assert isinstance(slots, Array)
    slots[1], slots[-1] = 10, 40
    assert [leaf.value for leaf in slots.values()] == [0, 10, 0, 40]
    assert [key.value for key in slots] == [0, 1, 2, 3]
    assert (slots[ct.c_int(1)].value, slots[-4].value, len(slots)) == (10, 0, 4)
    del slots[1]
    assert slots[1].value == 0
    slots.clear()
    assert slots[3].value == 0
    for index in (4, -5):
        with pytest.raises(OutOfRangeError, match=f"no index {index} among 4"):
            slots[index]
    with pytest.raises(TypeError, match="must be a number, not str"):
        slots["x"]


@pytest.mark.parametrize("leaf", [U64, U32, U16, U8])
def test_per_cpu_leaves_of_any_size(leaf: dict[str, Any]) -> None:
    made = table(leaf=leaf, map_type=5, value=leaf["size"])
    cpus = made.total_cpu
    assert isinstance(made, per_cpu.PerCpuHash)
    made[1] = list(range(1, cpus + 1))
    assert list(made[1]) == list(made.getvalue(1)) == list(range(1, cpus + 1))
    assert made.sum(1).value == sum(range(1, cpus + 1))
    assert made.max(1).value == cpus
    assert made.average(1).value == sum(range(1, cpus + 1)) // cpus
    made[2] = 5
    assert list(made[2]) == [5] * cpus
    assert [list(values) for values in made.values()] == [list(range(1, cpus + 1)), [5] * cpus]


def test_per_cpu_structs_are_reduced() -> None:
    odd = struct("odd", 12, member("a", 0, U32), member("b", 4, array(U32, 2)))
    fake = FakeMap(map_type=5, value=12)
    cpus = fake.cpus
    made = make(
        owner(),
        cast("Any", fake),
        {"key": U32, "value": odd, "event": None},
        reducer=lambda left, right: type(left)(left.a + right.a),
    )
    assert isinstance(made, per_cpu.PerCpuHash)
    made[1] = [made.sLeaf(number) for number in range(cpus)]
    assert made[1].a == sum(range(cpus))
    assert [leaf.a for leaf in made.values()] == [sum(range(cpus))]
    assert [leaf.a for leaf in made.getvalue(1)] == list(range(cpus))
    with pytest.raises(TypeError, match="give a reducer"):
        made.max(1)
    with pytest.raises(ValueError, match="CPUs, got"):
        made[1] = [made.sLeaf(0)] * (cpus + 1)


def test_a_stack_is_walked_to_its_end() -> None:
    stacks = table(key=S32, map_type=7, value=127 * 8)
    assert isinstance(stacks, StackTrace)
    cast("Any", stacks)._map.data[(6).to_bytes(4, "little")] = b"".join(
        address.to_bytes(8, "little") for address in (10, 20, 30, *[0] * 124)
    )
    assert list(stacks.walk(6)) == [10, 20, 30]
    assert list(stacks.walk(ct.c_int(6), hex)) == ["0xa", "0x14", "0x1e"]
    assert [key.value for key in stacks] == [6]
    assert len(stacks) == 1
    with pytest.raises(KeyError):
        stacks.walk(-14)
    stacks.clear()
    assert stacks.items() == []


def test_a_stack_of_build_ids_gives_offsets() -> None:
    frame = (1).to_bytes(4, "little") + bytes(range(20)) + (0x1234).to_bytes(8, "little")
    stacks = table(key=S32, map_type=7, value=32 * 3, flags=BUILD_ID_FLAG)
    cast("Any", stacks)._map.data[bytes(4)] = frame + bytes(64)
    (only,) = stacks.walk(0)
    assert (only.status, only.offset, bytes(only.build_id)) == (1, 0x1234, bytes(range(20)))


@pytest.mark.parametrize("map_type", sorted(CLASSES))
def test_every_class_has_its_map_type(map_type: int) -> None:
    assert type(table(key=S32, map_type=map_type)) is CLASSES[map_type]


def test_a_map_type_without_a_class_says_so() -> None:
    with pytest.raises(NotSupportedError, match="no table class for map type 26"):
        table(map_type=26)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (U32, 77, b"0x4d"),
        (S32, -77, b"0xffffffb3"),
        (CHAR, b"z", b"0x7a"),
        (BOOL, True, b"0x1"),
        ({"kind": "float", "name": "double", "size": 8}, -0.5, b"-0.5"),
        (PAIR, (1, 2), b"{ 0x1 0x2 }"),
        (array(U16, 3), (1, 2, 3), b"[ 0x1 0x2 0x3 ]"),
        (
            struct("named", 24, member("pair", 0, PAIR), member("comm", 8, array(CHAR, 16))),
            ((1, 2), b"it's {a} \\ \xff"),
            b'{ { 0x1 0x2 } "it\'s {a} \\ \xff" }',
        ),
    ],
)
def test_keys_and_leaves_as_text_and_back(kind: dict[str, Any], value: Any, shown: bytes) -> None:
    size = ct.sizeof(ctypes_types.build(kind))
    fake = FakeMap(key=size, value=size)
    made: Any = make(owner(), cast("Any", fake), {"key": kind, "value": kind, "event": None})
    assert made.key_sprintf(value) == made.leaf_sprintf(value) == shown
    text = shown.decode(errors="surrogateescape")
    assert bytes(made.key_scanf(shown)) == bytes(made.leaf_scanf(text)) == bytes(made.Key(*as_tuple(value)))
    for wrong in (b"", shown + b" 0x1", b"} {", b'"', b"x"):
        with pytest.raises(ValueError, match=r"too (short|long)|expected"):
            made.key_scanf(wrong)


NAMED = struct("named", 20, member("name", 0, array(CHAR, 8)), member("n", 8, array(U32, 2)), member("one", 16, CHAR))


@pytest.mark.parametrize(
    ("written", "name", "numbers", "one"),
    [
        (b'{ "ab" [ 0x1 0x2 ] 122 }', b"ab", [1, 2], b"z"),
        (b'{ "" [ 1 -2 ] -1 }', b"", [1, 2**32 - 2], b"\xff"),
        (b'{"a b\n} " [010 0x10]\n0x0}', b"a b\n} ", [8, 16], b"\0"),
        (b'{ "12345678" [ 0 0 ] 0 }', b"12345678", [0, 0], b"\0"),
    ],
)
def test_text_that_bcc_reads_is_read(written: bytes, name: bytes, numbers: list[int], one: bytes) -> None:
    made = table(leaf=NAMED, value=20)
    leaf = made.leaf_scanf(written)
    assert (leaf.name, list(leaf.n), leaf.one) == (name, numbers, one)
    assert bytes(made.leaf_scanf(made.leaf_sprintf(leaf))) == bytes(leaf)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b'{ "123456789" [ 1 2 ] 3 }', "a text of 9 bytes where 8 have room"),
        (b"{ ab [ 1 2 ] 3 }", "expected a text where ab stands"),
        (b'{ "ab" "cd" 3 }', r'expected \[ where "cd" stands'),
        (b'{ "ab" [ 1 "2" ] 3 }', 'expected a number where "2" stands'),
        (b'{ "ab" [ 1 2 ] z }', "expected a number where z stands"),
        (b'{ "ab" [ 1 2 3 ] 4 }', r"expected \] where 3 stands"),
    ],
)
def test_text_that_is_not_of_the_type(written: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table(leaf=NAMED, value=20).leaf_scanf(written)


def test_bytes_are_read_as_text_too_and_queues_read_leaves() -> None:
    assert bytes(table(leaf=array(U8, 4), value=4).leaf_scanf('"ab"')) == b"ab\0\0"
    queue: Any = table(key=None, leaf=S32, map_type=22, value=4)
    assert queue.leaf_scanf(queue.leaf_sprintf(-5)).value == -5
    assert queue.BPF_EXIST == 2


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_storage_is_asked_by_owner_and_lists_none() -> None:
    of_tasks = table(key=S32, map_type=29)
    with Path("/dev/null").open() as file:
        of_tasks[file] = 7
        assert of_tasks[file.fileno()].value == of_tasks[ct.c_int(file.fileno())].value == 7
        del of_tasks[file]
        assert file not in of_tasks
    with pytest.raises(TypeError, match="`fake` takes a file descriptor or an object with one, not str"):
        of_tasks["init"]
    for ask in (len, list, type(of_tasks).items, type(of_tasks).clear, type(of_tasks).items_lookup_batch):
        with pytest.raises(NotSupportedError, match="the kernel does not tell the owners") as caught:
            ask(of_tasks)
        assert "b['fake'][fd]" in str(caught.value.hint)


def test_events_without_a_type_say_so() -> None:
    with pytest.raises(MapError, match="no program says what type they have"):
        table(map_type=4).event(0)


def test_what_cannot_be_called_is_no_callback() -> None:
    perf, ring = table(map_type=4), table(map_type=27)
    for given in ({"callback": 5}, {"callback": print, "lost_cb": 5}):
        with pytest.raises(TypeError, match="of `fake` must be a function, not 5"):
            perf.open_perf_buffer(**given)
    with pytest.raises(TypeError, match="callback of `fake` must be a function, not 5"):
        ring.open_ring_buffer(5)
    with pytest.raises(ValueError, match="must be a power of two, not '8'"):
        perf.open_perf_buffer(print, page_cnt="8")


def test_event_reads_the_memory_that_it_is_told() -> None:
    fake = FakeMap(map_type=4, value=4)
    events = make(owner(), cast("Any", fake), {"key": S32, "value": U32, "event": PAIR})
    data = (ct.c_uint * 2)(1, 2)
    found = cast("Any", events).event(ct.addressof(data))
    assert (found.a, found.b) == (1, 2)
