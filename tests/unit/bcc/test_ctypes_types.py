"""ctypes classes have the sizes and offsets that descriptions say, and read what C wrote."""

from __future__ import annotations

import ctypes as ct
import struct as packing
from typing import Any

import pytest

from rtrace.bcc import ctypes_text, ctypes_values
from rtrace.bcc.ctypes_types import build
from tests.unit.bcc.descriptions import BOOL, CHAR, S32, S64, U8, U16, U32, U64, U128, array, member, struct


@pytest.mark.parametrize(
    ("description", "data", "value"),
    [
        (U8, b"\xff", 255),
        (S32, b"\xfe\xff\xff\xff", -2),
        (U64, b"\xff" * 8, 2**64 - 1),
        (BOOL, b"\x01", True),
        (CHAR, b"x", b"x"),
        ({"kind": "float", "name": "double", "size": 8}, packing.pack("d", 0.5), 0.5),
        ({"kind": "pointer", "name": "file", "size": 8}, b"\1" + bytes(7), 1),
        ({"kind": "enum", "name": "e", "size": 4, "signed": True, "values": {"A": -1}}, b"\xff" * 4, -1),
        ({"kind": "enum", "name": "e", "size": 4, "signed": False, "values": {"A": 1}}, b"\xff" * 4, 2**32 - 1),
        (array(CHAR, 8), b"cat\0\0\0\0\0", b"cat"),
    ],
)
def test_a_value_reads_as_pythons_own(description: dict[str, Any], data: bytes, value: object) -> None:
    assert build(description).from_buffer_copy(data).value == value


def test_a_struct_that_c_aligns_reads_member_by_member() -> None:
    inner = struct("inner", 8, member("low", 0, U32), member("high", 4, U32))
    kind = build(
        struct(
            "event",
            48,
            member("pid", 0, U32),
            member("delta", 8, U64),
            member("comm", 16, array(CHAR, 16)),
            member("inner", 32, inner),
            member("ok", 40, BOOL),
            member("many", 42, array(U16, 2)),
        )
    )
    data = packing.pack("<I4xQ16sIIBxHH2x", 7, 9, b"dd", 1, 2, 1, 3, 4)
    event = kind.from_buffer_copy(data)
    assert (event.pid, event.delta, event.comm, event.inner.high, event.ok) == (7, 9, b"dd", 2, True)
    assert list(event.many) == [3, 4]
    # Nothing stands between the members for users who walk over them.
    assert [field[0] for field in kind._fields_] == ["pid", "delta", "comm", "inner", "ok", "many"]


def test_members_of_anonymous_structs_and_unions_are_the_structs_own() -> None:
    both = struct(None, 8, member("sum", 0, U64), member("half", 0, U32), kind="union")
    pair = struct("", 8, member("low", 0, U32), member("high", 4, U32))
    kind = build(struct("key", 16, member(None, 0, both), member("", 8, pair)))
    key = kind.from_buffer_copy(packing.pack("<QII", 2**32 + 5, 1, 2))
    assert (key.half, key.sum, key.low, key.high) == (5, 2**32 + 5, 1, 2)


def test_a_packed_struct_keeps_the_offsets_of_c() -> None:
    kind = build(struct("packed", 13, member("kind", 0, U8), member("ts", 1, U64), member("pid", 9, U32)))
    assert ct.sizeof(kind) == 13
    value = kind.from_buffer_copy(packing.pack("<BQI", 1, 2, 3))
    assert (value.kind, value.ts, value.pid) == (1, 2, 3)


def test_a_number_of_128_bits_is_two_of_64_at_its_own_alignment() -> None:
    kind = build(struct("address", 32, member("family", 0, U16), member("address", 16, U128)))
    value = kind.from_buffer_copy(packing.pack("<H14xQQ", 2, 3, 4))
    assert ct.sizeof(kind) == 32
    assert list(value.address) == [3, 4]


def test_bit_fields_that_ctypes_places_as_c_does() -> None:
    kind = build(struct("flags", 4, member("a", 0, U32, 3), member("b", 3 / 8, U32, 7), member("c", 10 / 8, S32, 5)))
    value = kind.from_buffer_copy((0b101 | 0b1100110 << 3 | 0b11110 << 10).to_bytes(4, "little"))
    assert (value.a, value.b, value.c) == (0b101, 0b1100110, -2)


def test_bit_fields_that_ctypes_would_place_elsewhere_read_and_write() -> None:
    # Two types that share a byte: C goes on in the same unit, with a member behind it.
    kind = build(
        struct(
            "mixed",
            12,
            member("a", 0, U8, 4),
            member("b", 0.5, U64, 36),
            member("c", 5, S32, 3),
            member("last", 8, U32),
        )
    )
    number = 0xA | 0x9_8765_4321 << 4 | 0b110 << 40
    value = kind.from_buffer_copy(number.to_bytes(8, "little") + b"\7\0\0\0")
    assert (value.a, value.b, value.c, value.last) == (0xA, 0x9_8765_4321, -2, 7)
    value.b = 1
    assert (value.a, value.b, value.c, value.last) == (0xA, 1, -2, 7)
    assert bytes(value) == (0xA | 1 << 4 | 0b110 << 40).to_bytes(8, "little") + b"\7\0\0\0"


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        (ct.c_uint32, 7, b"\7\0\0\0"),
        (ct.c_uint64, ct.c_int(-1), b"\xff" * 8),
        (ct.c_uint32 * 2, (1, 2), b"\1\0\0\0\2\0\0\0"),
        (ct.c_char * 4, b"ab", b"ab\0\0"),
        (build(struct("pair", 8, member("a", 0, U32), member("b", 4, U32))), (1, 2), b"\1\0\0\0\2\0\0\0"),
        (build(struct("pair", 8, member("a", 0, U32), member("b", 4, U32))), b"12345678", b"12345678"),
    ],
)
def test_keys_are_made_from_what_users_pass(kind: Any, value: object, data: bytes) -> None:
    assert ctypes_values.to_bytes(kind, value, len(data)) == data


def test_a_value_of_another_size_is_refused() -> None:
    pair = build(struct("pair", 8, member("a", 0, U32), member("b", 4, U32)))
    with pytest.raises(ValueError, match="pair has 8 bytes, got 3"):
        ctypes_values.to_bytes(pair, b"123", 8)


FLAGS = struct("flags", 8, member("a", 0, U32, 3), member("b", 3 / 8, S32, 29), member("c", 4, U32))
EITHER = struct("", 4, member("v4", 0, U32), member("raw", 0, array(U8, 4)), kind="union")
ADDRESS = struct("address", 12, member("pid", 0, U32), member("", 4, EITHER), member("port", 8, U16))
# ctypes would place `b` elsewhere.
BITS = struct("", 8, member("a", 0, U8, 4), member("b", 0.5, U64, 36))
INSIDE = struct("inside", 24, member("x", 0, U32), member("", 8, BITS), member("ok", 16, BOOL, 1))


@pytest.mark.parametrize(
    ("description", "value", "data"),
    [
        (ADDRESS, (1, 5, (5, 0, 0, 0), 3), b"\1\0\0\0\5\0\0\0\3\0\0\0"),
        (ADDRESS, (1, (5,), 3), b"\1\0\0\0\5\0\0\0\3\0\0\0"),
        (ADDRESS, [1, (5, b"\5\0\0\0"), 3], b"\1\0\0\0\5\0\0\0\3\0\0\0"),
        (FLAGS, (5, -2, 7), (5 | (2**29 - 2) << 3 | 7 << 32).to_bytes(8, "little")),
        (INSIDE, (9, 15, 2**36 - 1, True), b"\t" + bytes(7) + b"\xff" * 5 + bytes(3) + b"\1" + bytes(7)),
        (INSIDE, (9, (15, 2**36 - 1), 1), b"\t" + bytes(7) + b"\xff" * 5 + bytes(3) + b"\1" + bytes(7)),
        (U128, 2**127 + 1, b"\1" + bytes(14) + b"\x80"),
        (U128, (1, 2**63), b"\1" + bytes(14) + b"\x80"),
        (struct("wide", 32, member("a", 0, U8), member("b", 16, U128)), (1, -1), b"\1" + bytes(15) + b"\xff" * 16),
        (struct("text", 4, member("s", 0, array(CHAR, 4))), (b"a\0b",), b"a\0b\0"),
        (struct("one", 4, member("x", 0, U32)), 7, b"\7\0\0\0"),
        (struct("outer", 8, member("in", 0, FLAGS)), (build(FLAGS)(5, 0, 1),), b"\5\0\0\0\1\0\0\0"),
    ],
)
def test_structs_are_made_from_all_their_members(description: dict[str, Any], value: object, data: bytes) -> None:
    assert ctypes_values.to_bytes(build(description), value, len(data)) == data


def test_bit_fields_of_anonymous_structs_are_the_structs_own() -> None:
    value = build(INSIDE)()
    value.b = 3
    value.ok = 2
    assert (value.a, value.b, value.ok, bytes(value)[8:17]) == (0, 3, True, b"\x30" + bytes(7) + b"\1")


@pytest.mark.parametrize(
    ("description", "value", "error", "message"),
    [
        (FLAGS, [], ValueError, r"flags has 3 members \(a, b, c\), got 0: \[\]"),
        (FLAGS, (1, 2), ValueError, "got 2"),
        (FLAGS, 1, ValueError, "got 1"),
        (FLAGS, ("x", 1, 1), TypeError, "expected a c_uint, got 'x'"),
        (FLAGS, (8, 1, 1), OverflowError, "a of flags is a bit field: 8 does not fit"),
        (INSIDE, (1, 16, 1, 1), OverflowError, "a of inside is a bit field: 16 does not fit"),
        (ADDRESS, (1, 5, (6, 0, 0, 0), 3), ValueError, "v4 of address shares bytes with a member of another value"),
        (array(U32, 3), (1, 2), ValueError, "has 3 elements, got 2"),
        (array(U32, 3), 1, ValueError, "has 3 elements, got 1"),
        (array(CHAR, 4), "abc", ValueError, "has 4 elements, got 1"),
        (
            struct("text", 4, member("s", 0, array(CHAR, 4))),
            (b"abcde",),
            ValueError,
            "has 4 bytes, got 5 from b'abcde'",
        ),
        (U32, 2**32, OverflowError, "c_uint has 32 bits: 4294967296 does not fit"),
        (S64, -(2**63) - 1, OverflowError, "has 64 bits"),
        (U32, [], TypeError, "expected a c_uint, got"),
        (U128, 2**128, OverflowError, "unsigned __int128 has 128 bits"),
        (U128, -(2**127) - 1, OverflowError, "unsigned __int128 has 128 bits"),
        (U128, "x", ValueError, "unsigned __int128 has 2 elements"),
    ],
)
def test_what_is_no_such_value_is_refused_by_name(
    description: dict[str, Any], value: object, error: type[Exception], message: str
) -> None:
    kind = build(description)
    with pytest.raises(error, match=message):
        ctypes_values.to_bytes(kind, value, ct.sizeof(kind))


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (U32, "'a'"),
        (U32, "0x100000000"),
        (FLAGS, "{ 8 1 1 }"),
        (FLAGS, "{ { 1 2 } 1 1 }"),
        (struct("pair", 8, member("a", 0, U32), member("b", 4, U32)), "{ { 1 2 } [ 1 2 3 ] 5 1 }"),
        (struct("two", 8, member("n", 0, array(U32, 2))), "{ 1 }"),
        (struct("text", 4, member("s", 0, array(CHAR, 4))), "{ 1 }"),
        (array(CHAR, 4), "b'abcde'"),
        (U128, "'a'"),
    ],
)
def test_text_of_another_type_is_a_value_error(description: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ctypes_text.from_words(build(description), text)


def test_instances_of_numbers_have_a_value() -> None:
    assert [item.value for item in ctypes_values.instances(ct.c_uint32, b"\1\0\0\0\2\0\0\0")] == [1, 2]


def test_text_has_numbers_in_hexadecimal_and_members_in_braces() -> None:
    kind = build(
        struct("key", 24, member("pid", 0, S64), member("comm", 8, array(CHAR, 8)), member("n", 16, array(U32, 2)))
    )
    assert " ".join(ctypes_text.words(kind(10, b"dd", (1, 2)))) == '{ 0xa "dd" [ 0x1 0x2 ] }'
