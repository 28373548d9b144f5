"""Maps of every type that programs in C make, byte by byte and many entries at once."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace import _rtrace
from rtrace.errors import MapError, MapKeyError
from tests.kernel.c_programs import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtrace._rtrace import Map, Object

SOURCE = """
LICENSE;
struct key { u32 bits; u8 address[4]; };
struct value { u64 sum; u32 count; u32 padding; };
struct three { u8 bytes[3]; };
struct { __uint(type, HASH); __type(key, u32); __type(value, struct value); __uint(max_entries, 8192); } hash
    SEC(".maps");
struct { __uint(type, ARRAY); __type(key, u32); __type(value, u64); __uint(max_entries, 16); } array SEC(".maps");
struct { __uint(type, PERCPU_HASH); __type(key, u32); __type(value, u32); __uint(max_entries, 64); } per_cpu
    SEC(".maps");
struct { __uint(type, PERCPU_ARRAY); __type(key, u32); __type(value, struct three); __uint(max_entries, 4); }
    per_cpu_array SEC(".maps");
struct { __uint(type, LRU_HASH); __type(key, u64); __type(value, u64); __uint(max_entries, 64); } lru SEC(".maps");
struct { __uint(type, QUEUE); __type(value, u32); __uint(max_entries, 3); } queue SEC(".maps");
struct { __uint(type, STACK); __type(value, u32); __uint(max_entries, 3); } stack SEC(".maps");
struct { __uint(type, LPM_TRIE); __type(key, struct key); __type(value, u32); __uint(max_entries, 16); } trie
    SEC(".maps");
struct { __uint(type, PROG_ARRAY); __type(key, u32); __type(value, u32); __uint(max_entries, 4); } programs
    SEC(".maps");
struct { __uint(type, CGROUP_ARRAY); __type(key, u32); __type(value, u32); __uint(max_entries, 4); } cgroups
    SEC(".maps");
struct { __uint(type, PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
struct inner { __uint(type, ARRAY); __type(key, u32); __type(value, u64); __uint(max_entries, 16); };
struct { __uint(type, ARRAY_OF_MAPS); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 2);
         __array(values, struct inner); } arrays SEC(".maps");
struct { __uint(type, HASH_OF_MAPS); __uint(key_size, 8); __uint(value_size, 4); __uint(max_entries, 2);
         __array(values, struct inner); } hashes SEC(".maps");
struct { __uint(type, RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, TASK_STORAGE); __type(key, u32); __type(value, u64); } tasks SEC(".maps");
struct sums { u64 sum; u32 count; u16 row[3]; };
struct { __uint(type, PERCPU_HASH); __type(key, u32); __type(value, struct sums); __uint(max_entries, 8); } sums
    SEC(".maps");
typedef u32 four[4];
typedef u16 six[6];
struct { __uint(type, HASH); __type(key, four); __type(value, six); __uint(max_entries, 8); } quads SEC(".maps");
struct { __uint(type, PERCPU_HASH); __type(key, u32); __type(value, four); __uint(max_entries, 8); } per_cpu_quads
    SEC(".maps");
SEC("raw_tp/sys_enter") int empty(void *ctx) { return 0; }
"""
VALUE = np.dtype([("sum", "u8"), ("count", "u4"), ("padding", "u4")])


@pytest.fixture(scope="module")
def spec() -> _rtrace.ObjectSpec:
    made: _rtrace.ObjectSpec = compile_c(SOURCE)
    # Linux 5.11 and newer.
    if _rtrace.struct_member("task_struct", "bpf_storage") is None:
        made.disable_map("tasks")
    return made


@pytest.fixture
def loaded(spec: _rtrace.ObjectSpec) -> Iterator[Object]:
    with spec.load({}) as made:
        yield made


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")


def test_facts(loaded: Object) -> None:
    hash_map = loaded.map("hash")
    assert (hash_map.map_type, hash_map.flags, hash_map.key_bytes, hash_map.value_bytes) == (1, 0, 4, 16)
    assert (hash_map.cpus, hash_map.per_cpu) == (1, False)
    assert "bpf-map" in os.readlink(f"/proc/self/fd/{hash_map.fd}")
    assert loaded.map("per_cpu").cpus == os.sysconf("SC_NPROCESSORS_CONF")
    assert loaded.map("trie").map_type == 11


def test_bytes_of_a_hash_map(loaded: Object) -> None:
    entries = loaded.map("hash")
    assert entries.lookup_bytes(word(1)) is None
    entries.update_bytes(word(1), bytes(range(16)))
    assert entries.lookup_bytes(word(1)) == bytes(range(16))
    with pytest.raises(MapError) as caught:
        entries.update_bytes(word(1), bytes(16), 1)
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(MapError) as caught:
        entries.update_bytes(word(2), bytes(16), flags=2)
    assert caught.value.errno == errno.ENOENT
    assert entries.next_key(None) == word(1)
    assert entries.next_key(word(1)) is None
    assert entries.delete_bytes(word(1))
    assert not entries.delete_bytes(word(1))
    assert entries.next_key(None) is None


@pytest.mark.parametrize(("name", "count"), [("hash", 5003), ("lru", 37), ("array", 16)])
def test_many_entries_at_once(loaded: Object, name: str, count: int) -> None:
    entries = loaded.map(name)
    keys = np.arange(count, dtype=f"u{entries.key_bytes}")
    values = np.zeros(count, dtype=f"({entries.value_bytes // 8},)u8")
    values[:, 0] = np.arange(count) * 3
    assert entries.update_many(keys, values) == count
    raw_keys, raw_values, found = entries.snapshot_bytes()
    assert found == count
    rows = np.frombuffer(raw_values, values.dtype.base).reshape(values.shape).tolist()
    expected = dict(zip(keys.tolist(), values.tolist(), strict=True))
    assert dict(zip(np.frombuffer(raw_keys, keys.dtype).tolist(), rows, strict=True)) == expected
    if name != "array":
        # Some that are there, some that are not, in between and at the ends.
        some = np.concatenate([keys[:0:-2], keys[:1] + count, keys[-2:] + 2 * count])
        there = len(keys[:0:-2])
        assert entries.delete_many(some) == there
        assert entries.snapshot_bytes(delete=True)[2] == count - there
        assert entries.snapshot_bytes() == (b"", b"", 0)


def test_buffers_of_ctypes_and_structured_arrays(loaded: Object) -> None:
    entries = loaded.map("hash")
    keys = (ctypes.c_uint32 * 3)(7, 8, 9)
    values = np.array([(1, 2, 3), (4, 5, 6), (7, 8, 9)], dtype=VALUE)
    assert entries.update_many(keys, values) == 3
    assert entries.lookup_bytes(word(8)) == values[1].tobytes()
    assert entries.delete_many(keys) == 3
    assert entries.update_many(b"", b"") == 0


def test_keys_and_values_that_are_arrays(loaded: Object) -> None:
    quads = loaded.map("quads")
    numbers, cells = np.arange(4, dtype=np.uint32), np.arange(6, dtype=np.uint16)
    quads.update_bytes(numbers.tobytes(), cells.tobytes())
    keys, values = quads.snapshot()
    assert (keys.tolist(), values.tolist()) == ([[0, 1, 2, 3]], [[0, 1, 2, 3, 4, 5]])
    assert keys.dtype == np.uint32
    assert values.dtype == np.uint16
    assert quads.to_dict() == {(0, 1, 2, 3): [0, 1, 2, 3, 4, 5]}
    assert quads.lookup(numbers.tobytes()).tolist() == cells.tolist()
    per_cpu = loaded.map("per_cpu_quads")
    per_cpu.update(7, numbers.tobytes())
    _, values = per_cpu.snapshot()
    assert values.shape == (1, per_cpu.cpus, 4)
    assert per_cpu.to_dict() == {7: [[0, 1, 2, 3]] * per_cpu.cpus}


def test_wrong_lengths_are_refused(loaded: Object) -> None:
    entries = loaded.map("hash")
    with pytest.raises(ValueError, match="key of `hash` has 4 bytes, got 3"):
        entries.lookup_bytes(b"abc")
    with pytest.raises(ValueError, match="value of `hash` has 16 bytes, got 0"):
        entries.update_bytes(word(0), b"")
    with pytest.raises(ValueError, match="keys of `hash` have 4 bytes each, got 5"):
        entries.delete_many(bytes(5))
    with pytest.raises(ValueError, match="all values of `hash` has 32 bytes, got 16"):
        entries.update_many(bytes(8), bytes(16))
    with pytest.raises(TypeError):
        entries.update_many(3, bytes(16))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`array` is an array: its entries cannot be removed"):
        loaded.map("array").snapshot_bytes(delete=True)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u2", "O", ">u4", "M8[s]", "?"])
def test_arrays_of_another_type_are_refused(loaded: Object, dtype: str) -> None:
    entries = loaded.map("hash")
    entries.update_many(np.arange(3, dtype=np.uint32), np.zeros(3, VALUE))
    keys = np.arange(3).astype(dtype)
    with pytest.raises((TypeError, ValueError), match=r"keys of `hash` are of dtype uint32, not|cannot include dtype"):
        entries.delete_many(keys)
    with pytest.raises((TypeError, ValueError), match=r"keys of `hash` are of dtype uint32, not|cannot include dtype"):
        entries.update_many(keys, np.zeros(3, VALUE))
    with pytest.raises(
        (TypeError, ValueError), match=r"values of `array` are of dtype uint64, not|cannot include dtype"
    ):
        loaded.map("array").update_many(np.arange(3, dtype=np.uint32), np.arange(3).astype(dtype.replace("i8", "u4")))
    assert len(entries.to_dict()) == 3


@pytest.mark.parametrize(
    "keys",
    [
        np.arange(3, dtype=np.int32),
        np.arange(3, dtype=np.uint32).view("V4"),
        np.arange(3, dtype=np.uint32).view("u1").reshape(3, 4),
        bytearray(np.arange(3, dtype=np.uint32)),
        memoryview(np.arange(3, dtype=np.uint32).tobytes()),
        (ctypes.c_int32 * 3)(0, 1, 2),
        np.arange(6, dtype=np.uint32)[::2] // 2,
    ],
    ids=["signed", "opaque", "rows of bytes", "bytearray", "memoryview", "ctypes", "strided"],
)
def test_arrays_of_the_same_layout_are_taken(loaded: Object, keys: Any) -> None:
    entries = loaded.map("hash")
    assert entries.update_many(keys, bytes(3 * 16)) == 3
    assert sorted(entries.to_dict()) == [0, 1, 2]
    assert entries.delete_many(keys) == 3


def test_keys_that_are_arrays_are_taken_as_rows(loaded: Object) -> None:
    quads = loaded.map("quads")
    keys, values = np.arange(8, dtype=np.uint32).reshape(2, 4), np.arange(12, dtype=np.uint16).reshape(2, 6)
    assert quads.update_many(keys, values) == 2
    with pytest.raises(TypeError, match="keys of `quads`"):
        quads.delete_many(keys.astype(float))
    assert quads.delete_many(keys) == 2


@pytest.mark.parametrize(
    ("name", "what", "way_out"),
    [
        ("ring", "a ring buffer", "read"),
        ("queue", "a queue", "pop"),
        ("stack", "a stack", "pop"),
        ("events", "a perf event array", "read"),
        ("cgroups", "an array of cgroups", "programs"),
        ("tasks", "the storage of tasks", "pidfd"),
    ],
)
def test_maps_without_entries_say_how_they_are_read(loaded: Object, name: str, what: str, way_out: str) -> None:
    entries = loaded.map(name)
    if name == "tasks" and entries.map_type == 1:
        # Where there is no such storage, another map stands in for it.
        return
    reads = [entries.to_dict, entries.snapshot, entries.sums, entries.snapshot_bytes]
    for operation, method in [
        *(("read", method) for method in reads),
        ("drain", entries.drain),
        ("clear", entries.clear),
    ]:
        with pytest.raises(
            MapError, match=f"^{operation} map `{name}`: {what} has no entries to {operation}"
        ) as caught:
            method()
        assert caught.value.hint is not None
        assert way_out in caught.value.hint


def test_a_full_map_says_so(loaded: Object) -> None:
    per_cpu = loaded.map("per_cpu")
    for number in range(64):
        per_cpu.update(number, 1)
    with pytest.raises(MapError, match="^update map `per_cpu`: it is full: it has max_entries 64") as caught:
        per_cpu.update(64, 1)
    assert caught.value.errno == errno.E2BIG
    assert "set_max_entries" in str(caught.value.hint)
    with pytest.raises(MapError, match="^update map `array`: it has max_entries 16, so that its keys are below that$"):
        loaded.map("array").update(16, 1)


def test_too_many_open_files_have_a_way_out(spec: _rtrace.ObjectSpec) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 2, before[1]))
    try:
        with pytest.raises(MapError) as caught:
            spec.load({})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caught.value.errno == errno.EMFILE
    assert "ulimit -n" in str(caught.value.hint)


def test_values_of_every_cpu(loaded: Object) -> None:
    entries = loaded.map("per_cpu")
    cpus = entries.cpus
    entries.update_bytes(word(1), word(7))
    assert entries.lookup_bytes(word(1)) == word(7) * cpus
    each = [word(cpu + 1) for cpu in range(cpus)]
    entries.update_bytes(word(2), b"".join(each))
    assert entries.lookup_bytes(word(2)) == b"".join(each)
    entries.update(3, list(range(cpus)))
    assert entries.lookup(3).tolist() == list(range(cpus))
    with pytest.raises(ValueError, match="value of `per_cpu` has"):
        entries.update(3, list(range(cpus + 1)))
    assert entries.update_many(word(4) + word(5), b"".join(each) * 2) == 2
    assert entries.lookup_bytes(word(5)) == b"".join(each)
    keys, values, count = entries.snapshot_bytes()
    assert (len(keys), len(values), count) == (20, 20 * cpus, 5)


def test_values_that_are_no_multiple_of_eight_bytes(loaded: Object) -> None:
    entries = loaded.map("per_cpu_array")
    each = b"".join(bytes([cpu, cpu + 1, cpu + 2]) for cpu in range(entries.cpus))
    entries.update_bytes(word(1), each)
    assert entries.lookup_bytes(word(1)) == each
    assert entries.snapshot_bytes()[1] == bytes(len(each)) + each + bytes(2 * len(each))


def test_values_added_up_over_the_cpus(loaded: Object) -> None:
    table = loaded.map("sums")
    assert table.sums() == []
    row = np.dtype([("sum", "u8"), ("count", "u4"), ("row", "u2", 3), ("end", "V6")])
    for key in (1, 2):
        values = np.zeros(table.cpus, row)
        values["sum"] = [key << 40] + [7] * (table.cpus - 1)
        values["count"], values["row"] = key, (1, 2, 65535)
        table.update_bytes(word(key), values.tobytes())
    cpus, others = table.cpus, 7 * (table.cpus - 1)
    expected = {word(key): {"sum": (key << 40) + others, "count": key * cpus} for key in (1, 2)}
    assert sorted(table.sums()) == [
        (key, {**numbers, "row": [cpus, 2 * cpus, 65535 * cpus]}) for key, numbers in expected.items()
    ]


def test_sums_wrap_around_and_are_of_structs(loaded: Object) -> None:
    table = loaded.map("sums")
    everything = np.full(table.cpus * table.value_bytes, 0xFF, np.uint8)
    table.update_bytes(word(1), everything.tobytes())
    assert table.sums()[0][1]["sum"] == (table.cpus * (2**64 - 1)) % 2**64
    loaded.map("per_cpu").update(1, 1)
    with pytest.raises(TypeError, match="values of `per_cpu` are not structs of unsigned numbers"):
        loaded.map("per_cpu").sums()
    with pytest.raises(MapError):
        loaded.map("queue").sums()


def test_a_dict_of_structs_is_what_numpy_makes(loaded: Object) -> None:
    table = loaded.map("hash")
    table.update_many(np.arange(5, dtype=np.uint32), np.array([(n << 33, n, 0) for n in range(5)], VALUE))
    keys, values = table.snapshot()
    assert table.to_dict() == dict(zip(keys.tolist(), values.tolist(), strict=True))
    assert table.to_dict()[3] == (3 << 33, 3, 0)


def test_queues_and_stacks(loaded: Object) -> None:
    queue, stack = loaded.map("queue"), loaded.map("stack")
    for entries in (queue, stack):
        assert entries.pop() is None
        assert entries.peek() is None
        entries.push(1)
        entries.push(word(2))
        entries.push(3)
        with pytest.raises(MapError) as caught:
            entries.push(4)
        assert caught.value.errno == errno.E2BIG
        entries.push(4, flags=2)
    assert [queue.peek(), *(queue.pop() for _ in range(4))] == [word(2), word(2), word(3), word(4), None]
    assert [stack.peek(), *(stack.pop() for _ in range(4))] == [word(4), word(4), word(3), word(2), None]


def test_longest_prefix_match(loaded: Object) -> None:
    trie = loaded.map("trie")
    trie.update_bytes(word(8) + bytes([10, 0, 0, 0]), word(1))
    trie.update_bytes(word(16) + bytes([10, 1, 0, 0]), word(2))
    assert trie.lookup_bytes(word(32) + bytes([10, 1, 2, 3])) == word(2)
    assert trie.lookup_bytes(word(32) + bytes([10, 2, 2, 3])) == word(1)
    assert trie.lookup_bytes(word(32) + bytes([11, 2, 2, 3])) is None
    assert trie.snapshot_bytes()[2] == 2


def test_programs_and_cgroups_by_descriptor(loaded: Object, cgroup_folder: Path) -> None:
    loaded.load_program("empty")
    programs = loaded.map("programs")
    programs.update(1, loaded.program_fd("empty"))
    assert programs.lookup(1) == loaded.program_info("empty")["id"]
    with pytest.raises(MapKeyError):
        programs.lookup(0)
    programs.delete(1)
    assert programs.lookup_bytes(word(1)) is None
    descriptor = os.open(cgroup_folder, os.O_RDONLY)
    loaded.map("cgroups").update(0, descriptor)
    os.close(descriptor)
    loaded.map("cgroups").delete(0)


@pytest.fixture
def cgroup_folder(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "cgroup2", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("name", ["arrays", "hashes"])
def test_maps_of_maps(loaded: Object, name: str) -> None:
    outer, inner = loaded.map(name), loaded.map("array")
    outer.update(1, inner.fd)
    assert outer.lookup(1) == inner.id
    with pytest.raises(MapError):
        outer.update(0, loaded.map("hash").fd)
    outer.delete(1)
    with pytest.raises(MapKeyError):
        outer.lookup(1)


@pytest.fixture
def bpf_folder(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "bpf", "none", tmp_path], check=True)
    yield tmp_path
    for name in names(tmp_path):
        (tmp_path / name).unlink()
    subprocess.run(["umount", tmp_path], check=True)


def test_a_pin_outside_of_a_bpf_file_system_is_refused_by_its_path(tmp_path: Path) -> None:
    spec = compile_c(SOURCE)
    spec.disable_map("tasks")
    there = tmp_path / "there"
    there.touch()
    with spec.load({}) as loaded, pytest.raises(MapError, match=f"^pin map `hash`: {tmp_path}/x is not in a BPF file"):
        loaded.map("hash").pin(tmp_path / "x")
    for name, operation in (("new", "pin"), ("there", "open")):
        spec.pin_map("hash", tmp_path / name)
        with pytest.raises(
            MapError, match=f"^{operation} map `hash`: {tmp_path}/{name} is not in a BPF file"
        ) as caught:
            spec.load({})
        assert "/sys/fs/bpf" in str(caught.value.hint)


def names(folder: Path) -> list[str]:
    """Return what is pinned; the kernel has two files of its own there."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".debug")


def test_a_pinned_map_is_shared(bpf_folder: Path) -> None:
    spec = compile_c(SOURCE)
    spec.disable_map("tasks")
    spec.pin_map("hash", bpf_folder / "shared")
    with spec.load({}) as first:
        first.map("hash").update_bytes(word(1), bytes(16))
        ids: list[int] = [first.map("hash").id]
    # It outlives the first, and is the second's.
    assert names(bpf_folder) == ["shared"]
    with spec.load({}) as second:
        ids.append(second.map("hash").id)
        assert second.map("hash").lookup_bytes(word(1)) == bytes(16)
        second.map("array").pin(bpf_folder / "array")
        with pytest.raises(MapError) as caught:
            second.map("array").pin(bpf_folder / "array")
        assert caught.value.errno == errno.EEXIST
    assert ids[0] == ids[1]
    assert names(bpf_folder) == ["array", "shared"]
    spec.set_max_entries("hash", 3)
    with pytest.raises(MapError, match="differs in type, sizes or number of entries"):
        spec.load({})


def test_storage_of_tasks(loaded: Object) -> None:
    storage: Map = loaded.map("tasks")
    if storage.map_type == 1:
        pytest.skip("the kernel has no storage of tasks (Linux 5.11)")
    assert storage.map_type == 29
    descriptor = os.pidfd_open(os.getpid())
    storage.update(descriptor, 7)
    assert storage.lookup(descriptor) == 7
    storage.delete(descriptor)
    os.close(descriptor)
