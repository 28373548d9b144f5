"""Layouts of records and keys, made of the formats of five kernels."""

from __future__ import annotations

import itertools
import re
import struct
from typing import Any, cast

import numpy as np
import pytest

from rtrace import _rtrace
from rtrace.shapes import record_plan
from rtrace.shapes.pair_plan import KEY_PARTS, set_key
from tests.unit.test_format_golden import KERNELS, golden


def form(*fields: tuple[str, int, int, int]) -> dict[str, Any]:
    """Make a format of declarations, offsets, sizes and signs."""
    lines = [f"\tfield:{text};\toffset:{at};\tsize:{size};\tsigned:{sign};\n" for text, at, size, sign in fields]
    return _rtrace.parse_format(f"name: x\nID: 1\nformat:\n{''.join(lines)}\nprint fmt: \n")


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_tracepoint_has_room_and_a_column_for_each_field(kernel: str) -> None:
    for name, text in golden()[kernel].items():
        fields = record_plan.choose(_rtrace.parse_format(text), None)
        plan = record_plan.Plan(fields, max_text=64, max_array=64)
        arrays = sum(field["kind"] == "dynamic" and not field["text"] for field in fields)
        assert len(plan.columns) == len(record_plan.HEADER) + len(fields) + arrays, name
        dtype = plan.dtype()
        assert dtype.itemsize == plan.record_bytes <= record_plan.HEADER_BYTES + record_plan.MAX_PAYLOAD
        taken = sorted((offset, offset + kind.itemsize) for kind, offset, *_ in (dtype.fields or {}).values())
        # Whatever the kernel lays over each other stays so; what has a place of its own keeps it.
        if not overlap(fields):
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(taken)), name


def overlap(fields: list[dict[str, Any]]) -> bool:
    spans = sorted((field["offset"], field["offset"] + field["size"]) for field in fields)
    return any(end > start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_column_that_is_taken_is_not_taken_again() -> None:
    fields = form(("u32 pid", 8, 4, 0), ("u32 x_bytes", 12, 4, 0), ("__data_loc u8[] x", 16, 4, 0))["fields"]
    plan = record_plan.Plan(fields, max_text=8, max_array=8)
    assert list(plan.columns)[5:] == ["pid_", "x_bytes", "x", "x_bytes_"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secter", "`x` has no field 'secter': did you mean sector?"),
        ("wholly other", "`x` has no field 'wholly other': it has common_pid, sector"),
        ("common_pid", "`x`: the kernel hides common_pid from programs; every record has pid, tid and cpu"),
    ],
)
def test_fields_that_cannot_be_chosen(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        record_plan.choose(form(("int common_pid", 4, 4, 1), ("u64 sector", 8, 8, 0)), [name])


class Spec:
    """What is written into an object."""

    def __init__(self) -> None:
        self.globals: dict[str, bytes] = {}

    def set_global(self, name: str, value: bytes) -> None:
        self.globals[name] = value


INTEGERS = [np.dtype(f"{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)]


@pytest.mark.parametrize(("start", "end"), [*itertools.product(INTEGERS, repeat=2)], ids=str)
def test_a_number_that_fits_both_sides_is_one_key(start: np.dtype[Any], end: np.dtype[Any]) -> None:
    """Whatever the sizes and signs of the two fields, as the programs read them: bytes, widened by sign or zeros."""
    limits = np.iinfo(start), np.iinfo(end)
    least, most = max(int(limit.min) for limit in limits), min(int(limit.max) for limit in limits)
    spec = Spec()
    kinds = (start, end)
    forms = [form((f"{'int' if kind.kind == 'i' else 'unsigned int'} k", 8, kind.itemsize, int(kind.kind == "i")))
             for kind in kinds]  # fmt: skip
    set_key(cast("_rtrace.ObjectSpec", spec), ["k"], (forms[0], forms[1]))
    for value in {least, most, most // 2, max(least, -1), 0}:
        keys = []
        for side, kind in zip(("START_KEY", "END_KEY"), kinds, strict=True):
            table = spec.globals[side]
            assert len(table) == 8 * KEY_PARTS
            offset, size, signed, source, _ = struct.unpack_from("=I4B", table)
            assert (offset, size, source) == (8, kind.itemsize, 1)
            keys.append(int.from_bytes(np.array(value, kind).tobytes(), "little", signed=bool(signed)) & (2**64 - 1))
        assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (("char k[8]", 8, 8, 1), r"k is char\[8\], which cannot be part of a key"),
        (("u32 k[2]", 8, 8, 0), r"k is u32\[2\], which cannot be part of a key"),
        (("__data_loc char[] k", 8, 4, 0), "which cannot be part of a key"),
        (("uuid_t k", 8, 16, 0), "k is uuid_t, which cannot be part of a key"),
        (("int common_k", 4, 4, 1), "the kernel hides common_k from programs"),
        (("int kk", 8, 4, 1), "has no field 'k': did you mean kk?"),
    ],
)
def test_fields_that_are_no_keys(field: tuple[str, int, int, int], message: str) -> None:
    good = form(("int k", 8, 4, 1), ("int common_k", 4, 4, 1))
    name = "common_k" if "common_k" in field[0] else "k"
    with pytest.raises(ValueError, match=message):
        set_key(cast("_rtrace.ObjectSpec", Spec()), [name], (good, form(field)))
