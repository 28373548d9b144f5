"""Whatever members C's structs have: what ctypes wrote is read the same by every way, and no two keys are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrace.bcc import BPF
from rtrace.bcc.ctypes_types import build
from rtrace.bcc.ctypes_values import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.conftest import Reader

TYPES = """
struct bits_t { u32 prio:4; u32 cls:28; u32 pid; };
struct address_t { u32 pid; union { u32 v4; u8 raw[4]; struct { u16 low, high; }; }; u16 port; };
enum color_t { RED, GREEN, BLUE, BLACK };
enum sign_t { MINUS = -2, PLUS = 1 };
struct mixed_t {
    u8 a:4; u64 b:36; s32 c:3; bool flag:1; enum color_t color:2; enum sign_t sign:2; s64 last:20; bool whole;
    enum color_t wide; double ratio;
};
struct wide_t { unsigned __int128 big; __int128 low; unsigned __int128 part:100; u8 end; };
struct deep_t {
    struct bits_t two[2]; s16 grid[2][3]; char name[8]; struct { u8 x; struct address_t address; };
    union { u64 sum; struct { u32 one:12, rest:20; } fields; char text[4]; } either;
};
struct packed_t {
    u8 kind; union { u64 all; struct { u64 low:40, high:24; }; } __attribute__((packed)); s32 left:5; u16 n[3];
} __attribute__((packed));
typedef struct bits_t pair_t[2];
"""
KINDS = ["struct bits_t", "struct address_t", "struct mixed_t", "struct wide_t", "struct deep_t", "struct packed_t"]
KINDS += ["pair_t", "unsigned __int128", "__int128", "bool", "s64"]
# Of each a hash by it, one of it, and one of it for each CPU.
TABLES = "".join(
    f"typedef {kind} t{n}; BPF_HASH(k{n}, t{n}, u32, 64); BPF_HASH(v{n}, u32, t{n}, 64);"
    f"BPF_PERCPU_HASH(c{n}, u32, t{n}, 64);"
    for n, kind in enumerate(KINDS)
)


@pytest.fixture(scope="module")
def tables() -> Iterator[BPF]:
    with BPF(text=TYPES + TABLES) as made:
        yield made


def described(b: BPF, table: str, part: str) -> dict[str, Any]:
    """Return what a table's keys or values are."""
    found = b.native.types(table)[part]
    assert found is not None
    return found


def values(description: dict[str, Any], bits: int = 0) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a type, as tuples that only its own members make up."""
    kind = description["kind"]
    if kind == "array":
        if description["element"].get("char"):
            return st.binary(max_size=description["count"]).map(lambda text: text.rstrip(b"\0"))
        return st.tuples(*[values(description["element"])] * description["count"])
    if kind == "float":
        return st.floats(allow_nan=False, width=64)
    if kind in {"struct", "union"}:
        members = [member for member in description["members"] if kind == "struct" or member["offset"] == 0]
        return st.tuples(*(values(one["type"], one["bits"]) for one in members[: 1 if kind == "union" else None]))
    if description.get("bool"):
        return st.booleans()
    width = bits or 8 * description["size"]
    return (
        st.integers(-(1 << width - 1), (1 << width - 1) - 1)
        if description["signed"]
        else st.integers(0, (1 << width) - 1)
    )


def of_ctypes(value: Any, kind: dict[str, Any]) -> Any:
    """Return a ctypes value as Python's own, walking over C's members one by one."""
    if kind["kind"] in {"struct", "union"}:
        parts: list[Any] = []
        for member in kind["members"]:
            of = member["type"]
            if not member["name"]:
                anonymous = build(of).from_buffer_copy(bytes(value)[member["offset"] // 8 :][: of["size"]])
                parts += of_ctypes(anonymous, of)
            else:
                parts.append(of_ctypes(getattr(value, member["name"]), of))
        return tuple(parts)
    if kind["kind"] == "array" and not kind["element"].get("char"):
        return tuple(of_ctypes(item, kind["element"]) for item in value)
    return getattr(value, "value", value)


def of_numpy(value: Any, kind: dict[str, Any]) -> Any:
    """Return a row of an array as Python's own."""
    if kind["kind"] in {"struct", "union"}:
        parts: list[Any] = []
        for member in kind["members"]:
            got = of_numpy(value if not member["name"] else value[member["name"]], member["type"])
            parts += [got] if member["name"] else got
        return tuple(parts)
    if kind["kind"] == "array" and not kind["element"].get("char"):
        return tuple(of_numpy(item, kind["element"]) for item in value)
    if kind.get("size") == 16:
        return int.from_bytes(value.tobytes(), "little", signed=kind["signed"])
    return value.item() if isinstance(value, np.generic) else value


def hashed(value: Any) -> Any:
    """Return a value with tuples for lists."""
    return tuple(map(hashed, value)) if isinstance(value, (tuple, list)) else value


def without_tails(value: Any) -> Any:
    """Return a value whose texts end at their first NUL, as ctypes has them."""
    if isinstance(value, tuple):
        return tuple(map(without_tails, value))
    return value.split(b"\0")[0] if isinstance(value, bytes) else value


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_every_way_reads_what_ctypes_wrote(tables: BPF, number: int) -> None:
    by_key, by_number, by_cpu = (tables[f"{letter}{number}"] for letter in "kvc")
    kind = described(tables, f"k{number}", "key")

    # The same examples each time: a guest has nowhere to keep those that fail.
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(values(kind), max_size=20))
    def check(given_values: list[Any]) -> None:
        keys = [make(by_key.Key, value) for value in given_values]
        for table in (by_key, by_number, by_cpu):
            table.clear()
        for index, key in enumerate(keys):
            by_key[key] = index
            by_number[index] = by_cpu[index] = key
        distinct = {bytes(key): index for index, key in enumerate(keys)}
        expected = {index: of_ctypes(keys[index], kind) for index in distinct.values()}

        # ctypes itself, which stops at a text's first NUL.
        assert {bytes(key): leaf.value for key, leaf in by_key.items()} == distinct
        assert {leaf.value: of_ctypes(key, kind) for key, leaf in by_key.items()} == expected

        found = {index: key for key, index in by_key.to_dict().items()}
        assert len(found) == len(distinct)
        assert {index: without_tails(key) for index, key in found.items()} == expected
        for index, key in found.items():
            assert by_key[key].value == index
        of_all = {index: of_ctypes(key, kind) for index, key in enumerate(keys)}
        assert {index: without_tails(hashed(value)) for index, value in by_number.to_dict().items()} == of_all
        for index, values in by_cpu.to_dict().items():
            assert [without_tails(hashed(value)) for value in values] == [of_all[index]] * by_cpu.total_cpu

        for rows, indices in (by_key.to_numpy(), by_key._map.snapshot()):
            assert len(rows) == len(distinct)
            read = {index: of_numpy(row, kind) for row, index in zip(rows, indices.tolist(), strict=True)}
            assert {index: without_tails(value) for index, value in read.items()} == expected
        indices, rows = by_number.to_numpy()
        read = {index: of_numpy(row, kind) for index, row in zip(indices.tolist(), rows, strict=True)}
        assert read == {index: hashed(value) for index, value in by_number.to_dict().items()}
        for index, row in read.items():
            assert of_numpy(by_number._map.lookup(index), kind) == row

        # And what is read can be written.
        by_key._map.update_many(*by_key.to_numpy())
        assert {bytes(key): leaf.value for key, leaf in by_key.items()} == distinct
        by_key._map.update_many(rows, indices)
        assert {bytes(key) for key in by_key} == set(distinct)
        assert by_key._map.delete_many(by_key.to_numpy()[0]) == len(distinct)

    check()


@pytest.mark.parametrize("kind", KINDS[:6])
def test_events_are_read_as_values_are(on_read: Callable[..., BPF], reader: Reader, kind: str) -> None:
    declarations = f"{TYPES} BPF_ARRAY(next, {kind}, 1); BPF_PERF_OUTPUT(perf); BPF_RINGBUF_OUTPUT(ring, 8);"
    body = f"""
    int zero = 0;
    {kind} *sent = next.lookup(&zero);
    if (sent) {{
        perf.perf_submit(args, sent, sizeof(*sent));
        ring.ringbuf_output(sent, sizeof(*sent), 0);
    }}
    """
    b = on_read(declarations, body)
    sent_kind = described(b, "next", "value")
    perf, ring = b["perf"], b["ring"]
    for events in (perf, ring):
        events.read(0)

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(values(sent_kind))
    def check(value: Any) -> None:
        b["next"][0] = sent = make(b["next"].Leaf, value)
        reader.read(1)
        [rows] = [b["next"].to_numpy()[1]]
        for events in (perf.read(5), ring.read(5)):
            assert events.dtype == rows.dtype
            assert [of_numpy(row, sent_kind) for row in events] == [of_numpy(rows[0], sent_kind)]
            assert without_tails(of_numpy(events[0], sent_kind)) == of_ctypes(sent, sent_kind)

    check()


def test_bytes_that_no_member_has_keep_keys_apart() -> None:
    with BPF(text="struct hole_t { u8 a; u32 b; }; BPF_HASH(h, struct hole_t, u32); BPF_HASH(f, double, u32);") as b:
        holes, floats = b["h"], b["f"]
        for index, between in enumerate([b"\0\0\0", b"\0\0\1"]):
            holes[b"\1" + between + b"\2\0\0\0"] = index
        holes[(2, 2)] = 2
        expected = {(1, 2, b"\1\0\0\0\2\0\0\0"): 0, (1, 2, b"\1\0\0\1\2\0\0\0"): 1, (2, 2): 2}
        assert holes.to_dict() == expected
        floats[0.0], floats[-0.0], floats[0.5] = 0, 1, 2
        assert floats.to_dict() == {(0.0, bytes(8)): 0, (-0.0, bytes(7) + b"\x80"): 1, 0.5: 2}


def test_layouts_without_bit_fields_are_the_kernels_bytes() -> None:
    with BPF(text=TYPES + "BPF_HASH(h, struct address_t, u64);") as b:
        table = b["h"]
        table[(1, (2,), 3)] = 4
        keys, leaves = table.to_numpy()
        for rows in (keys, leaves):
            assert rows.base.dtype == np.uint8, "a view of the bytes that came"
        assert (keys.dtype.fields["v4"][1], keys.dtype.fields["raw"][1], keys.dtype.itemsize) == (4, 4, 12)


def test_columns_of_bit_fields_are_written() -> None:
    with BPF(text=TYPES + "BPF_HASH(h, struct bits_t, u32); BPF_HASH(d, struct packed_t, u32);") as b:
        table, native = b["h"], b["h"]._map
        keys = np.zeros(3, native.key_dtype)
        keys["prio"], keys["cls"], keys["pid"] = [1, 2, 15], 7, 9
        native.update_many(keys, np.arange(3, dtype=np.uint32))
        assert table.to_dict() == {(1, 7, 9): 0, (2, 7, 9): 1, (15, 7, 9): 2}
        assert native.delete_many(native.snapshot()[0].copy()[:2]) == 2
        keys["prio"] = 16
        with pytest.raises(ValueError, match="key 0 of `h` has a bit field that is too large"):
            native.update_many(keys, np.arange(3, dtype=np.uint32))
        shared = np.zeros(1, b["d"]._map.key_dtype)
        shared["all"] = 5
        with pytest.raises(ValueError, match="shares bytes with a member of another value"):
            b["d"]._map.update_many(shared, b"\0" * 4)
        shared["low"] = 5
        assert b["d"]._map.update_many(shared, b"\0" * 4) == 1


def test_numbers_of_128_bits_are_written_whole_by_either_way() -> None:
    with BPF(text="BPF_HASH(x, unsigned __int128, u64); BPF_HASH(y, u64, __int128);") as b:
        x, y = b["x"], b["y"]
        x[2**127] = 1
        x[-1] = 2
        x._map.update(2**127 + 5, 3)
        assert x.to_dict() == {2**127: 1, 2**128 - 1: 2, 2**127 + 5: 3}
        assert x[x.Key(2**127 + 5)].value == 3
        assert sorted(key.value for key in x) == sorted(x.to_dict())
        y[1], y[2] = 2**64, -(2**127)
        y._map.update(3, -1)
        assert y.to_dict() == {1: 2**64, 2: -(2**127), 3: -1}
        for number in (2**128, -(2**127) - 1):
            with pytest.raises(OverflowError, match="unsigned __int128 has 128 bits"):
                x[number] = 1
            with pytest.raises(ValueError, match="key of `x` has 16 bytes"):
                x._map.update(number, 1)
            with pytest.raises(OverflowError, match="__int128 has 128 bits"):
                y[1] = number
        with pytest.raises(ValueError, match="value of `x` has 8 bytes: .* does not fit"):
            x._map.update(1, 2**200)
        assert len(x) == 3
