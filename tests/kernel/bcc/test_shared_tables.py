"""Tables that belong to more than one object: public and extern, pinned, and maps of maps."""

from __future__ import annotations

import ctypes as ct
import subprocess
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import BPF
from rtrace.bcc.table import Array, HashTable, MapInMapArray, MapInMapHash, QueueStack
from rtrace.errors import MapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.conftest import Reader

READS = 101


@pytest.fixture
def bpf_files(tmp_path: Path) -> Iterator[Path]:
    """Return a BPF file system of the test's own."""
    subprocess.run(["mount", "-t", "bpf", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize(("kind", "table"), [("array", Array), ("hash", HashTable)])
@pytest.mark.parametrize("macro", ["BPF_TABLE_PUBLIC", "BPF_TABLE_SHARED"])
def test_a_public_table_is_that_of_other_objects(
    on_read: Callable[..., BPF], reader: Reader, macro: str, kind: str, table: type
) -> None:
    owner = BPF(text=f'{macro}("{kind}", u32, u64, seen_by_all, 10);')
    b = on_read('BPF_TABLE("extern", u32, u64, seen_by_all, 10);', "seen_by_all.increment(3);")
    reader.read(READS)
    assert [type(each["seen_by_all"]) for each in (b, owner)] == [table, table]
    assert b["seen_by_all"].max_entries == 10
    assert b["seen_by_all"][3].value == owner["seen_by_all"][3].value == READS
    b["seen_by_all"][ct.c_uint32(4)] = ct.c_uint64(7)
    assert owner["seen_by_all"][4].value == 7
    # Who has it keeps it.
    owner.close()
    reader.read(1)
    assert b["seen_by_all"][3].value == READS + 1


def test_an_extern_table_that_nobody_has(on_read: Callable[..., BPF]) -> None:
    extern = 'BPF_TABLE("extern", u32, u64, nobodys, 10);'
    with pytest.raises(MapError, match="share map `nobodys`: no open object of this process has made .* public") as no:
        BPF(text=extern)
    assert no.value.map == "nobodys"
    owner = on_read('BPF_TABLE_PUBLIC("hash", u32, u32, nobodys, 10);', "nobodys.increment(1);")
    with pytest.raises(MapError, match="its keys have 4 and its values 8 bytes, those of the public map 4 and 4"):
        BPF(text=extern)
    owner.close()
    with pytest.raises(MapError, match="no open object"):
        BPF(text=extern)


def test_a_pinned_table_is_that_of_other_processes(
    on_read: Callable[..., BPF], reader: Reader, bpf_files: Path
) -> None:
    pinned = f'BPF_TABLE_PINNED("hash", u32, u64, kept, 10, "{bpf_files}/kept"%s);'
    on_read(pinned % "", "kept.increment(3);").close()
    assert (bpf_files / "kept").exists()
    b = on_read(pinned % ", 0", "kept.increment(3);")
    with BPF(text=pinned % "") as other:
        reader.read(READS)
        assert b["kept"][3].value == other["kept"][3].value == READS
    with pytest.raises(MapError, match="differs in type, sizes or number of entries"):
        BPF(text=pinned.replace("u64", "u32") % "")
    (bpf_files / "kept").unlink()


def test_queues_are_shared_too(on_read: Callable[..., BPF], reader: Reader, bpf_files: Path) -> None:
    b = on_read(
        f"""BPF_QUEUESTACK_PUBLIC("queue", public_queue, u32, 1000, 0);
        BPF_QUEUESTACK_SHARED("stack", shared_stack, u32, 10, 0);
        BPF_QUEUESTACK_PINNED("queue", pinned_queue, u32, 1000, 0, "{bpf_files}/queue");""",
        "u32 one = 1; public_queue.push(&one, 0); pinned_queue.push(&one, 0);",
    )
    pinned = f'BPF_QUEUESTACK_PINNED("queue", pinned_queue, u32, 1000, 0, "{bpf_files}/queue");'
    with BPF(text=pinned) as other:
        reader.read(READS)
        assert isinstance(other["pinned_queue"], QueueStack)
        assert len(other["pinned_queue"].values()) == len(b["public_queue"].values()) == READS
    (bpf_files / "queue").unlink()


def test_maps_of_maps(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(
        """struct key_t { u32 a, b; };
        BPF_ARRAY(chosen, u32, 1);
        BPF_TABLE("hash", int, u64, first, 1024);
        BPF_TABLE("hash", int, u64, second, 1024);
        BPF_ARRAY_OF_MAPS(by_index, "first", 4);
        BPF_HASH_OF_MAPS(by_key, struct key_t, "first", 8);
        BPF_HASH_OF_MAPS(by_number, "first");
        BPF_HASH_OF_MAPS(by_long, u64, "first");""",
        """int zero = 0;
        u32 *index = chosen.lookup(&zero);
        struct key_t key = { .b = index ? *index : 0 };
        u64 long_key = 5;
        void *inner[] = { index ? by_index.lookup(index) : NULL, by_key.lookup(&key) };
        for (int i = 0; i < 2; i++) {
            u64 *count = inner[i] ? bpf_map_lookup_elem(inner[i], &zero) : NULL, one = 1;
            if (count)
                *count += 1;
            else if (inner[i])
                bpf_map_update_elem(inner[i], &zero, &one, BPF_ANY);
        }
        if (by_number.lookup(&zero) || by_long.lookup(&long_key))
            return 0;""",
    )
    assert (type(b["by_index"]), type(b["by_key"])) == (MapInMapArray, MapInMapHash)
    assert (b["by_index"].max_entries, b["by_key"].max_entries, b["by_number"].max_entries) == (4, 8, 10240)
    key = b["by_key"].Key
    assert ct.sizeof(key) == 8
    assert ct.sizeof(b["by_long"].Key) == 8
    reader.read(3)  # nothing there yet
    b["by_index"][2] = b["first"]
    b["by_key"][key(0, 3)] = b["second"]
    b["chosen"][0] = ct.c_uint32(2)
    reader.read(READS)
    b["chosen"][0] = ct.c_uint32(3)
    reader.read(READS + 2)
    assert (b["first"][0].value, b["second"][0].value) == (READS, READS + 2)
