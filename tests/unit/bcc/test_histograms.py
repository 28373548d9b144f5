"""Histograms of tables, beside bcc's own functions where the distribution's interpreter has bcc."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from rtrace.bcc.hist import get_json_hist
from rtrace.bcc.tables.array import Array
from rtrace.bcc.tables.hash import HashTable
from rtrace.bcc.tables.make import make
from tests.unit.bcc.descriptions import CHAR, U32, U64, array, member, struct
from tests.unit.bcc.fake_map import FakeMap, owner

# The distribution's bcc belongs to its own interpreter.
PEER = Path("/usr/bin/python3")
# What bcc 0.26 prints, by the task as JSON; `python -m tests.unit.bcc.test_histograms` asks the bcc that is here again.
RECORDED = Path("tests/data/bcc/histograms.json")
# Reads a Key's C-like members, the entries and the call from stdin; prints what bcc's own methods print.
PEER_SCRIPT = """
import ctypes as ct, json, sys
from bcc.table import TableBase
class Struct(ct.Structure):
    _fields_ = [("bucket", ct.c_char * 16), ("slot", ct.c_ulonglong)]
class Peer(TableBase):
    def __init__(self, split, entries):
        self.Key = Struct if split else ct.c_int
        self.entries = entries
    def __len__(self):
        return len(self.entries)
    def items(self):
        for key, count in self.entries:
            made = Struct(key[0].encode(), key[1]) if isinstance(key, list) else ct.c_int(key)
            yield made, ct.c_ulonglong(count)
task = json.load(sys.stdin)
functions = {"upper": lambda bucket: bucket.decode().upper(), "first": lambda bucket: bucket[:1],
             "backwards": lambda buckets: sorted(buckets, reverse=True)}
options = {name: functions.get(value, value) for name, value in task["options"].items()}
getattr(Peer(task["split"], task["entries"]), task["method"])(*task["arguments"], **options)
"""
FUNCTIONS = {
    "upper": lambda bucket: bucket.decode().upper(),
    "first": lambda bucket: bucket[:1],
    "backwards": lambda buckets: sorted(buckets, reverse=True),
}

PLAIN: list[tuple[Any, int]] = [(1, 4457), (2, 447), (3, 2059), (4, 1179), (5, 63), (7, 2)]
WIDE: list[tuple[Any, int]] = [(33, 5), (1, 17), (64, 1)]
SPLIT: list[tuple[Any, int]] = [(["dd", 1], 3), (["cat", 4], 9), (["dd", 12], 1), (["cat", 5], 2)]
TASKS: list[tuple[str, list[tuple[Any, int]], list[str], dict[str, Any]]] = [
    ("print_log2_hist", PLAIN, ["usecs"], {}),
    ("print_log2_hist", PLAIN, [], {}),
    ("print_log2_hist", WIDE, ["nsecs"], {}),
    ("print_log2_hist", [], ["usecs"], {}),
    ("print_log2_hist", [(9, 5), (11, 6)], ["usecs"], {"strip_leading_zero": True}),
    ("print_log2_hist", SPLIT, ["usecs", "comm"], {}),
    ("print_log2_hist", SPLIT, ["usecs", "comm"], {"section_print_fn": "upper"}),
    ("print_log2_hist", SPLIT, ["usecs"], {"bucket_fn": "first", "bucket_sort_fn": "backwards"}),
    ("print_linear_hist", [(0, 2), (3, 9), (100, 1)], ["kbytes"], {}),
    ("print_linear_hist", [(4, 9), (6, 1)], ["kbytes"], {"strip_leading_zero": True}),
    ("print_linear_hist", SPLIT, ["value", "comm"], {"section_print_fn": "upper"}),
    ("print_json_hist", PLAIN, ["usecs"], {}),
    ("print_json_hist", SPLIT, ["usecs", "comm"], {"section_print_fn": "upper"}),
    ("print_json_hist", SPLIT, ["usecs", "comm"], {"bucket_sort_fn": "backwards"}),
    ("print_json_hist", SPLIT, [], {"bucket_fn": "first"}),
    ("print_json_hist", [], ["usecs"], {}),
    ("print_log2_hist", [(0, 9)], ["usecs"], {}),
    ("print_log2_hist", [(32, 9), (31, 8)], ["usecs"], {}),
    ("print_log2_hist", [(1, 123456789012), (2, 1)], ["a unit with a name too long for its column"], {}),
    ("print_log2_hist", SPLIT, ["usecs"], {"strip_leading_zero": True, "bucket_sort_fn": "backwards"}),
    ("print_linear_hist", [], ["kbytes"], {}),
    ("print_linear_hist", [(1024, 1)], ["kbytes"], {"strip_leading_zero": True}),
    ("print_linear_hist", SPLIT, [], {"bucket_fn": "first", "bucket_sort_fn": "backwards"}),
]


def table_of(entries: list[tuple[Any, int]]) -> HashTable:
    """Return a table with these counts, in this order."""
    key = U32
    if entries and isinstance(entries[0][0], list):
        key = struct("key", 24, member("bucket", 0, array(CHAR, 16)), member("slot", 16, U64))
    fake = FakeMap(key=24 if key is not U32 else 4)
    table = make(owner(), cast("Any", fake), {"key": key, "value": U64, "event": None})
    assert type(table) is HashTable
    for slot, count in entries:
        table[(slot[0].encode(), slot[1]) if isinstance(slot, list) else slot] = count
    return table


def shown(method: str, text: str) -> Any:
    """Return what was printed, without the time of day."""
    if method != "print_json_hist":
        return text
    dicts = [ast.literal_eval(line) for line in text.splitlines()]
    return [{name: value for name, value in found.items() if name != "ts"} for found in dicts]


@pytest.mark.parametrize(("method", "entries", "arguments", "options"), TASKS)
def test_text_is_bccs_to_the_character(
    method: str,
    entries: list[tuple[Any, int]],
    arguments: list[str],
    options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours = {name: FUNCTIONS.get(value, value) for name, value in options.items()}
    getattr(table_of(entries), method)(*arguments, **ours)
    text = capsys.readouterr().out
    task = task_of(method, entries, arguments, options)
    assert shown(method, text) == shown(method, json.loads(RECORDED.read_text())[task])
    bccs = ask_bcc(task)
    if bccs is not None:
        assert shown(method, text) == shown(method, bccs)


def task_of(method: str, entries: list[tuple[Any, int]], arguments: list[str], options: dict[str, Any]) -> str:
    split = bool(entries) and isinstance(entries[0][0], list)
    return json.dumps(
        {"split": split, "entries": entries, "method": method, "arguments": arguments, "options": options}
    )


def ask_bcc(task: str) -> str | None:
    """Return what the distribution's bcc prints; None where its python3 has none (package python3-bpfcc)."""
    if not PEER.exists():
        return None
    peer = subprocess.run([PEER, "-c", PEER_SCRIPT], input=task, capture_output=True, text=True, check=False)
    if "No module named 'bcc'" in peer.stderr:
        return None
    assert peer.returncode == 0, peer.stderr
    return peer.stdout


def test_log2_text_where_there_is_no_bcc(capsys: pytest.CaptureFixture[str]) -> None:
    table_of(PLAIN).print_log2_hist("usecs")
    assert capsys.readouterr().out.splitlines()[:3] == [
        "     usecs               : count     distribution",
        "         0 -> 1          : 4457     |****************************************|",
        "         2 -> 3          : 447      |****                                    |",
    ]


def test_linear_histograms_grow_past_bccs_1025_slots(capsys: pytest.CaptureFixture[str]) -> None:
    table_of([(5000, 7), (4999, 14)]).print_linear_hist("kbytes", strip_leading_zero=True)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "        4999       : 14       |****************************************|",
        "        5000       : 7        |********************                    |",
    ]


def test_an_array_is_a_histogram_of_its_indices(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeMap(map_type=2, entries=8)
    table = make(owner(), cast("Any", fake), {"key": U32, "value": U64, "event": None})
    assert isinstance(table, Array)
    table[3] = 5
    table.print_linear_hist("slots", strip_leading_zero=True)
    assert "        3          : 5        |****" in capsys.readouterr().out


PAIR = struct("pair", 8, member("a", 0, U32), member("b", 4, U32))
METHODS = ("print_log2_hist", "print_linear_hist", "print_json_hist")


def histogram(key: dict[str, Any] = U32, leaf: dict[str, Any] = U64, **facts: Any) -> Any:
    """Return a table of these types over an empty map."""
    fake = FakeMap(**{"key": key["size"], "value": leaf["size"], **facts})
    return make(owner(), cast("Any", fake), {"key": key, "value": leaf, "event": None})


@pytest.mark.parametrize("map_type", [5, 6])
def test_leaves_of_every_cpu_are_summed(map_type: int, capsys: pytest.CaptureFixture[str]) -> None:
    table = histogram(map_type=map_type)
    table[2], table[4] = [1, 2, 3, 0], [0, 3, 0, 0]
    table.print_log2_hist()
    assert capsys.readouterr().out.splitlines()[1:] == [
        "         0 -> 1          : 0        |                                        |",
        "         2 -> 3          : 6        |****************************************|",
        "         4 -> 7          : 0        |                                        |",
        "         8 -> 15         : 3        |********************                    |",
    ]
    reduced = make(
        owner(), cast("Any", table._map), {"key": U32, "value": U64, "event": None},
        reducer=lambda one, other: type(one)(max(one.value, other.value)),
    )  # fmt: skip
    cast("Any", reduced).print_linear_hist(strip_leading_zero=True)
    assert "        2          : 3 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("types", "key", "leaf", "said"),
    [
        ({"leaf": PAIR}, 1, (1, 2), "counts are numbers, not pair"),
        ({"leaf": PAIR, "map_type": 5}, 1, [(1, 2)] * 4, "counts are numbers, not pair_Array_4"),
        ({"key": struct("one", 4, member("slot", 0, U32))}, (1,), 1, "one has no bucket and slot"),
        ({"key": struct("split", 12, member("pair", 0, PAIR), member("slot", 8, U32))}, ((1, 2), 3), 1,
         "pair is no bucket, as it has no hash: give a bucket_fn"),
        ({"key": struct("split", 12, member("slot", 0, U32), member("pair", 4, PAIR))}, (1, (2, 3)), 1,
         "slots are numbers, not pair"),
    ],
)  # fmt: skip
def test_what_is_no_histogram_says_so(types: dict[str, Any], key: Any, leaf: Any, said: str) -> None:
    table = histogram(**types)
    table[key] = leaf
    for method in METHODS:
        with pytest.raises(TypeError, match=f"print `fake` as a histogram: {said}"):
            getattr(table, method)()


def test_a_bucket_may_be_made_of_a_struct(capsys: pytest.CaptureFixture[str]) -> None:
    table = histogram(struct("split", 12, member("pair", 0, PAIR), member("slot", 8, U32)))
    table[(1, 2), 3] = 5
    table.print_log2_hist("usecs", b"pair", bucket_fn=lambda pair: (pair.a, pair.b))
    assert capsys.readouterr().out.startswith("\npair = (1, 2)\n     usecs  ")


def test_slots_that_there_are_not_take_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    for slot, methods in ((1 << 33, METHODS), (-1, METHODS), (65, METHODS[::2])):
        table = histogram({**U64, "signed": True})
        table[slot] = 1
        for method in methods:
            with pytest.raises(
                ValueError, match=f"print `fake` as a histogram: no slot {slot}, they are 0 to (64|65535)"
            ):
                getattr(table, method)()
        assert "<table" in histogram_html(table)
    assert capsys.readouterr().out == ""
    table[64] = table.pop(65).value
    table.print_log2_hist()
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == [str(1 << 63), "->", str((1 << 64) - 1)]


def histogram_html(table: Any) -> str:
    """Return what a notebook shows of a table whose source calls it a histogram."""
    table.loaded.histograms = ("fake",)
    return str(table._repr_html_())


def test_words_may_be_bytes_and_whatever_bcc_takes(capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(PLAIN)
    for given, shown_ in ((b"usecs", "usecs"), (None, "None"), (5, "5")):
        table.print_log2_hist(given)  # type: ignore[arg-type]
        table.print_linear_hist(given)  # type: ignore[arg-type]
        heads = [line for line in capsys.readouterr().out.splitlines() if "distribution" in line]
        assert [head.split()[0] for head in heads] == [shown_] * 2


def test_the_section_of_a_json_histogram_is_in_it() -> None:
    found = get_json_hist([0, 1], "usecs", ("comm", b"dd"))
    assert found["comm"] == b"dd"
    assert found["data"] == [{"interval-start": 0, "interval-end": 1, "count": 1}]


if __name__ == "__main__":
    asked = {task: ask_bcc(task) for task in (task_of(*task) for task in TASKS)}
    RECORDED.write_text(json.dumps(asked, indent=1) + "\n")
