"""Every class of tables on a map of the kernel's, filled by a known number of reads."""

from __future__ import annotations

import ctypes as ct
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtrace.bcc.cpus import possible_cpus
from rtrace.bcc.table import (
    Array,
    HashTable,
    LpmTrie,
    LruHash,
    PerCpuArray,
    PerCpuHash,
    QueueStack,
    StackTrace,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rtrace.bcc import BPF
    from tests.kernel.conftest import Reader

READS = 1009


@pytest.mark.parametrize(("kind", "expected"), [("hash", HashTable), ("lru_hash", LruHash)])
def test_hash(on_read: Callable[..., BPF], reader: Reader, kind: str, expected: type) -> None:
    b = on_read(f'BPF_TABLE("{kind}", u32, u64, counts, 4096);', "counts.increment(bpf_get_current_pid_tgid());")
    reader.read(READS)
    counts = b["counts"]
    assert type(counts) is expected
    assert counts is b[b"counts"]
    assert [(key.value, leaf.value) for key, leaf in counts.items()] == [(reader.tid, READS)]
    assert counts.to_dict() == {reader.tid: READS}
    keys, leaves = counts.to_numpy()
    assert (keys.tolist(), leaves.tolist(), leaves.dtype) == ([reader.tid], [READS], np.uint64)
    counts.clear()
    assert len(counts) == 0


def test_batches_and_clear_of_many(on_read: Callable[..., BPF]) -> None:
    many = on_read("BPF_HASH(many, u64, u64, 30000);", "u64 zero = 0; many.lookup(&zero);")["many"]
    keys = (ct.c_uint64 * 20011)(*range(20011))
    many.items_update_batch(keys, keys)
    assert len(many) == 20011
    assert many[20010].value == 20010
    many.items_delete_batch((ct.c_uint64 * 10)(*range(10)))
    taken = {key.value: leaf.value for key, leaf in many.items_lookup_and_delete_batch()}
    assert taken == {number: number for number in range(10, 20011)}
    many.items_update_batch(keys, keys)
    many.zero()
    assert {leaf.value for leaf in many.values()} == {0}
    many.clear()
    assert many.items() == []
    many[1] = 2
    with pytest.raises(KeyError):
        many[3]
    del many[1]
    assert 1 not in many


def test_struct_keys_and_leaves(on_read: Callable[..., BPF], reader: Reader) -> None:
    declarations = """
    struct key_t { u32 tid; char comm[TASK_COMM_LEN]; };
    struct leaf_t { u64 count; union { u32 both; struct { u16 low, high; }; }; u8 flag:3; };
    BPF_HASH(seen, struct key_t, struct leaf_t);
    """
    body = """
    struct key_t key = {};
    struct leaf_t zero = {}, *leaf;
    key.tid = bpf_get_current_pid_tgid();
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    leaf = seen.lookup_or_try_init(&key, &zero);
    if (leaf) { leaf->count++; leaf->both = 0x20001; leaf->flag = 5; }
    """
    b = on_read(declarations, body)
    reader.read(7)
    ((key, leaf),) = b["seen"].items()
    assert key.tid == reader.tid
    with open(f"/proc/self/task/{reader.tid}/comm", "rb") as file:
        assert key.comm == file.read().rstrip()
    assert (leaf.count, leaf.low, leaf.high, leaf.flag) == (7, 1, 2, 5)
    assert b["seen"][key].count == 7


def test_leaves_that_are_arrays_of_arrays(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(
        "typedef u16 grid_t[3][2]; BPF_HASH(grids, u32, grid_t);",
        "u32 key = 1; grid_t grid = {}; grid[2][1] = 7; grids.update(&key, &grid);",
    )
    reader.read(1)
    [(_, grid)] = b["grids"].items()
    assert [list(row) for row in grid] == [[0, 0], [0, 0], [0, 7]]
    assert b["grids"].to_numpy()[1].tolist() == [[[0, 0], [0, 0], [0, 7]]]


def test_array(on_read: Callable[..., BPF], reader: Reader) -> None:
    slots = on_read("BPF_ARRAY(slots, u64, 8);", "slots.increment(3);")["slots"]
    reader.read(READS)
    assert type(slots) is Array
    assert [leaf.value for leaf in slots.values()] == [0, 0, 0, READS, 0, 0, 0, 0]
    assert slots[-5].value == slots[ct.c_int(3)].value == READS
    del slots[3]
    slots[0] = ct.c_ulonglong(5)
    assert slots.to_dict()[0] == 5
    assert slots[3].value == 0


@pytest.mark.parametrize("leaf", ["u64", "u32", "u8"])
def test_per_cpu_array(on_read: Callable[..., BPF], reader: Reader, leaf: str) -> None:
    body = f"int key = 1; {leaf} *leaf = slots.lookup(&key); if (leaf) *leaf += 1;"
    slots = on_read(f"BPF_PERCPU_ARRAY(slots, {leaf}, 4);", body)["slots"]
    reader.read(101)
    assert type(slots) is PerCpuArray
    assert slots.sum(1).value == sum(slots.getvalue(1)) == 101
    assert len(slots.getvalue(1)) == possible_cpus()
    assert slots.max(1).value <= 101
    assert slots.average(1).value == 101 // possible_cpus()
    slots.clear()
    assert slots.sum(1).value == 0


def test_per_cpu_hash(on_read: Callable[..., BPF], reader: Reader) -> None:
    body = "u32 key = 9; u64 zero = 0, *leaf = counts.lookup_or_try_init(&key, &zero); if (leaf) *leaf += 1;"
    b = on_read("BPF_PERCPU_HASH(counts, u32, u64, 64);", body)
    reader.read(101)
    assert type(b["counts"]) is PerCpuHash
    assert b["counts"].sum(9).value == 101
    reduced = b.get_table("counts", reducer=lambda left, right: type(left)(left.value + right.value))
    assert [(key.value, leaf.value) for key, leaf in reduced.items()] == [(9, 101)]
    assert reduced[9].value == 101


def test_histogram(on_read: Callable[..., BPF], reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    b = on_read("BPF_HISTOGRAM(dist);", "dist.increment(bpf_log2l(5));")
    reader.read(READS)
    b["dist"].print_log2_hist("usecs")
    assert capsys.readouterr().out.splitlines() == [
        "     usecs               : count     distribution",
        "         0 -> 1          : 0        |                                        |",
        "         2 -> 3          : 0        |                                        |",
        f"         4 -> 7          : {READS}     |****************************************|",
    ]


def test_stack_trace(on_read: Callable[..., BPF], reader: Reader) -> None:
    declarations = "BPF_STACK_TRACE(stacks, 1024); BPF_HASH(ids, int, u64);"
    b = on_read(declarations, "int id = stacks.get_stackid(args, BPF_F_USER_STACK); ids.increment(id);")
    reader.read(3)
    ((stack, count),) = b["ids"].items()
    assert count.value == 3
    assert type(b["stacks"]) is StackTrace
    addresses = list(b["stacks"].walk(stack.value))
    assert addresses
    assert all(addresses)
    assert [key.value for key in b["stacks"]] == [stack.value]
    b["stacks"].clear()
    assert len(b["stacks"]) == 0


@pytest.mark.parametrize(("macro", "order"), [("BPF_QUEUE", [0, 1, 2, 7]), ("BPF_STACK", [7, 2, 1, 0])])
def test_queue_and_stack(on_read: Callable[..., BPF], reader: Reader, macro: str, order: list[int]) -> None:
    declarations = f"{macro}(waiting, u64, 16); BPF_ARRAY(number, u64, 1);"
    body = "int zero = 0; u64 *n = number.lookup(&zero); if (n) { u64 now = *n; waiting.push(&now, 0); *n += 1; }"
    waiting = on_read(declarations, body)["waiting"]
    reader.read(3)
    assert type(waiting) is QueueStack
    waiting.push(7)
    assert waiting.peek().value == order[0]
    assert waiting.pop().value == order[0]
    assert [leaf.value for leaf in waiting.values()] == order[1:]
    with pytest.raises(KeyError):
        waiting.pop()


def test_longest_prefix(on_read: Callable[..., BPF]) -> None:
    declarations = "struct v4 { u32 prefixlen; u8 data[4]; }; BPF_LPM_TRIE(routes, struct v4, u64, 64);"
    routes = on_read(declarations, "struct v4 key = {}; routes.lookup(&key);")["routes"]
    assert type(routes) is LpmTrie
    routes[(8, (ct.c_ubyte * 4)(10, 0, 0, 0))] = 1
    routes[(16, (ct.c_ubyte * 4)(10, 1, 0, 0))] = 2
    assert routes[(32, (ct.c_ubyte * 4)(10, 1, 2, 3))].value == 2
    assert routes[(32, (ct.c_ubyte * 4)(10, 9, 2, 3))].value == 1
    assert sorted(leaf.value for leaf in routes.values()) == [1, 2]
    with pytest.raises(KeyError):
        routes[(32, (ct.c_ubyte * 4)(11, 0, 0, 1))]


def test_longest_prefix_of_a_number(on_read: Callable[..., BPF]) -> None:
    """The kernel asks for a struct where it is told a type at all."""
    routes = on_read("BPF_LPM_TRIE(routes, u64, u64, 64);", "u64 key = 0; routes.lookup(&key);")["routes"]
    ten, eleven = (int.from_bytes(bytes([first, 0, 0, 0]), "little") << 32 for first in (10, 11))
    routes[ten | 8] = 1
    assert routes[ten | 32].value == 1
    with pytest.raises(KeyError):
        routes[eleven | 32]


def test_cgroup_array(on_read: Callable[..., BPF], reader: Reader, cgroups: Path) -> None:
    declarations = "BPF_CGROUP_ARRAY(cgroups, 1); BPF_ARRAY(inside, u64, 1);"
    b = on_read(declarations, "if (cgroups.check_current_task(0) > 0) inside.increment(0);")
    reader.read(3)
    assert b["inside"][0].value == 0
    b["cgroups"][0] = str(cgroups)
    reader.read(5)
    assert b["inside"][0].value == 5


def test_an_unknown_map_names_those_there_are(on_read: Callable[..., BPF]) -> None:
    b = on_read("BPF_HASH(counts, u32, u64);", "u32 key = 0; counts.increment(key);")
    with pytest.raises(KeyError, match="the program has no such map"):
        b["missing"]
    assert os.fstat(b["counts"].get_fd())
