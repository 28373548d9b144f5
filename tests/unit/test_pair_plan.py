"""Pairs of tracepoints: what is carried from the start, and what histograms are split by."""

from __future__ import annotations

from typing import Any

import pytest

import rtrace
from rtrace import _rtrace
from rtrace.shapes import pair_plan, splits
from rtrace.shapes.session import Session

START = """\
name: begun
ID: 7
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;
\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;
\tfield:char rwbs[10];\toffset:16;\tsize:10;\tsigned:0;
\tfield:char label[32];\toffset:26;\tsize:32;\tsigned:0;
\tfield:int prio;\toffset:60;\tsize:4;\tsigned:1;
\tfield:__data_loc char[] cmd;\toffset:64;\tsize:4;\tsigned:0;
\tfield:unsigned long args[6];\toffset:72;\tsize:48;\tsigned:0;

print fmt: "%d,%d %s", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), \
__print_symbolic(REC->prio, { -1, "none" }, { 3, "some" })
"""
END = """\
name: ended
ID: 8
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;
\tfield:short error;\toffset:12;\tsize:2;\tsigned:1;
\tfield:char what[8];\toffset:16;\tsize:8;\tsigned:0;

print fmt: "%d", REC->error
"""
FORMS = (_rtrace.parse_format(START), _rtrace.parse_format(END))
HISTOGRAM_ONLY: Any = ((), ())


def keys(*values: bytes) -> list[bytes]:
    """Return the keys of groups as a map has them."""
    return [value.ljust(splits.GROUP_LEN, b"\0") for value in values]


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little", signed=True)


def split(by: str, max_text: int = 16, fields: Any = HISTOGRAM_ONLY) -> splits.Split:
    made, _ = pair_plan.plan(FORMS, (START, END), by, fields, max_text)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("by", "found", "names"),
    [
        ("pid", [number(7, 4)], [7]),
        ("tid", [number(2**22, 4)], [2**22]),
        ("cpu", [number(0, 4), number(1, 4)], [0, 1]),
        ("comm", [b"dd", b"a b", b"\xff", b"sixteen bytes it"], ["dd", "a b", r"\xff", "sixteen bytes it"]),
        ("pid_", [number(-1, 4)], [-1]),
        ("dev", [number(8 << 20 | 16, 4), number(259 << 20, 4)], ["8,16", "259,0"]),
        ("rwbs", [b"WS", b""], ["WS", ""]),
        ("prio", [number(-1, 4), number(3, 4)], ["none", "some"]),
        ("cmd", [b"sh"], ["sh"]),
        ("error", [number(-5, 2), number(0, 2)], [-5, 0]),
        ("what", [b"done"], ["done"]),
    ],
)
def test_groups_are_called_as_people_call_them(by: str, found: list[bytes], names: list[int | str]) -> None:
    made = split(by)
    assert made.by == by
    assert made.names(keys(*found)) == names
    assert made.names(keys()) == []


def test_only_what_it_is_split_by_is_carried() -> None:
    for by, carried in (("rwbs", 16), ("dev", 8), ("error", 0), ("comm", 0), (None, 0)):
        _, (start, end) = pair_plan.plan(FORMS, (START, END), by, HISTOGRAM_ONLY, 16)
        assert end.base - start.base == carried, by


def test_a_field_that_is_split_by_is_recorded_too() -> None:
    _, (_, end) = pair_plan.plan(FORMS, (START, END), "rwbs", (["dev"], []), 16)
    assert {"dev", "rwbs"} <= end.columns.keys()
    assert {"label", "error"}.isdisjoint(end.columns)
    _, (_, end) = pair_plan.plan(FORMS, (START, END), "cmd", (["dev"], None), 16)
    assert {"dev", "cmd", "error"} <= end.columns.keys()
    _, (_, end) = pair_plan.plan(FORMS, (START, END), "dev", (["dev"], []), 16)
    assert list(end.columns).count("dev") == 1


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("rwsb", r"`begun` and `ended` have no field 'rwsb' to split by: did you mean rwbs\?"),
        ("eror", r"did you mean error\?"),
        ("com", r"did you mean comm, cmd\?"),
        ("x", "there are pid, tid, comm, cpu, dev, pid_, rwbs, label, prio, cmd, args, error, what"),
        ("latency_ns", "no field 'latency_ns'"),
        (
            "label",
            "`begun`: label may be 32 bytes long, and histograms can be split by 16 at most: choose another field$",
        ),
        ("args", r"`begun`: args is unsigned long.*, which histograms cannot be split by"),
    ],
)
def test_what_histograms_cannot_be_split_by(by: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        split(by)


def test_text_of_any_length_has_to_be_cut() -> None:
    with pytest.raises(ValueError, match="cmd may be 64 bytes long, .* or cut it with max_text=16$"):
        split("cmd", max_text=64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "text"}, "output must be one of 'records', 'histogram', 'both', not 'text'"),
        ({"by": "id"}, "by='id' splits a histogram: it needs output='histogram' or 'both'"),
        ({"output": "histogram", "fields": ["id"]}, "fields and end_fields are those of records"),
        ({"output": "histogram", "end_fields": []}, "fields and end_fields are those of records"),
        ({"output": "histogram", "unit": "h"}, "unit must be one of 'ns', 'us', 'ms', 's', not 'h'"),
        ({"output": "histogram", "by": "id", "max_groups": 0}, "max_groups must be positive and below 16777216, not 0"),
        ({"max_starts": 2**24}, "max_starts must be positive"),
        ({"output": "histogram", "interval": 0}, "interval must be a positive time"),
        ({"output": "histogram", "count": 0}, "count must be at least 1, not 0"),
        ({"min_latency": -1}, "min_latency must be a time in seconds, not -1"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    """Refused before anything is asked of the kernel."""
    with pytest.raises(ValueError, match=said):
        rtrace.tracepoint_latency("a:b", "c:d", key="id", **options)


class Counts:
    """An object with one map."""

    def __init__(self, entries: list[tuple[bytes, dict[str, Any]]]) -> None:
        self._entries = entries

    def map(self, name: str) -> Counts:
        assert name == "GROUPS"
        return self

    def sums(self) -> list[tuple[bytes, dict[str, Any]]]:
        return self._entries


def read_groups(split: Any) -> tuple[tuple[int, int], dict[int | str, tuple[int, int]]]:
    """Return what a session reads of three groups: of the whole and of each, how many and their sum."""
    entries = [
        (key, {"counts": [0, 0, count, *[0] * 61], "sum_ns": total})
        for key, count, total in zip(keys(b"\xfe", b"dd", b"\xff"), (3, 12, 48), (30, 120, 480), strict=True)
    ]
    counts: Any = Counts(entries)
    (whole, sum_ns), parts = Session(counts, [], None, filtered=False).histograms(split)
    return (whole[2], sum_ns), {name: (part[2], total) for name, (part, total) in parts.items()}


def test_bytes_that_are_no_text_are_told_apart() -> None:
    whole, parts = read_groups(split("comm"))
    assert (whole, parts) == ((63, 630), {r"\xfe": (3, 30), "dd": (12, 120), r"\xff": (48, 480)})


def test_groups_of_one_name_are_one() -> None:
    """A format may give two numbers the same name; their counts must not replace each other."""
    whole, parts = read_groups(type("Split", (), {"names": lambda *_: ["some", "none", "some"]})())
    assert (whole, parts) == ((63, 630), {"some": (51, 510), "none": (12, 120)})
