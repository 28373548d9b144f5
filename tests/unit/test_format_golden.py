"""The formats of five kernels' tracepoints, this kernel's own, and whatever else claims to be one."""

from __future__ import annotations

import functools
import lzma
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtrace._rtrace import parse_format, tracefs
from rtrace.errors import RtraceError

DATA = Path("tests/data/formats")
KERNELS = ("5.10", "6.1", "6.12", "6.18", "7")
FIELD = re.compile(r"^\tfield:(.*);\toffset:(\d+);\tsize:(\d+);\tsigned:([01]);$", re.MULTILINE)
COMMON = [
    ("common_type", 0, "u2"),
    ("common_flags", 2, "u1"),
    ("common_preempt_count", 3, "u1"),
    ("common_pid", 4, "i4"),
]


@functools.cache
def golden() -> dict[str, dict[str, str]]:
    """Return the text of every format by kernel and tracepoint."""
    kernels: dict[str, dict[str, str]] = {}
    for record in lzma.decompress((DATA / "formats.xz").read_bytes()).decode().split("\0")[1:]:
        heading, _, text = record.partition("\n")
        kernel, _, name = heading.partition(" ")
        kernels.setdefault(kernel, {})[name] = text
    return kernels


def columns(text: str) -> list[tuple[str, int, str]]:
    """Return name, offset and numpy type of each field that not every tracepoint has."""
    parsed = parse_format(text)
    common = {field["name"] for field in parsed["fields"] if field["common"]}
    described = [(name, offset, kind.str.lstrip("<|=")) for name, (kind, offset, *_) in parsed["dtype"].fields.items()]
    assert [column for column in described if column[0] in common] == COMMON
    return [column for column in described if column[0] not in common]


def table(text: str, field: str) -> dict[str, Any]:
    found = [table for table in parse_format(text)["tables"] if table["field"] == field]
    assert len(found) == 1
    return dict(found[0])


def check_nothing_lost(name: str, text: str) -> None:
    """Compare with a reading of the file that knows nothing of C."""
    parsed = parse_format(text)
    assert parsed["name"] == name.partition("/")[2]
    assert parsed["id"] == int(re.findall(r"^ID: (\d+)$", text, re.MULTILINE)[0])
    written = [(declared, *map(int, numbers)) for declared, *numbers in FIELD.findall(text)]
    assert len(written) == text.partition("\nprint fmt:")[0].count("\tfield:") == len(parsed["fields"])
    dtype = parsed["dtype"]
    assert len(dtype.names) == len(written)
    for field, own_name, (declared, offset, size, signed) in zip(parsed["fields"], dtype.names, written, strict=True):
        kind, place = dtype.fields[own_name][:2]
        assert field["name"] == own_name
        assert re.search(rf"\b{field['kernel_name']}(\[[^]]*\])*$", declared), declared
        assert (field["offset"], field["size"]) == (place, kind.itemsize) == (offset, size), declared
        assert field["signed"] == bool(signed) or field["kind"] == "pointer", declared
        assert field["common"] == own_name.startswith("common_")
        number = kind.base.kind
        if field["kind"] in {"integer", "enum", "array"}:
            assert number == ("i" if signed else "u"), declared
        else:
            assert number == {"text": "S", "opaque": "V"}.get(field["kind"], "u"), declared
    assert dtype.itemsize == parsed["size"] == max(offset + size for _, offset, size, _ in written)
    for names in parsed["tables"]:
        assert names["field"] in dtype.names
        assert names["values"] or names["unresolved"]
    assert set(parsed["hints"]) <= set(dtype.names)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_format_of_a_kernel(kernel: str) -> None:
    formats = golden()[kernel]
    assert len(formats) > 2000
    for name, text in formats.items():
        check_nothing_lost(name, text)


def test_every_format_of_this_kernel() -> None:
    try:
        root, _ = tracefs()
    except (RtraceError, OSError) as error:
        pytest.skip(f"tracefs cannot be read: {error}")
    paths = sorted(Path(root).glob("events/*/*/format"))
    if not paths:
        pytest.skip(f"no formats in {root}")
    for path in paths:
        check_nothing_lost(f"{path.parts[-3]}/{path.parts[-2]}", path.read_text())


@pytest.mark.parametrize("kernel", KERNELS)
def test_most_values_have_their_names(kernel: str) -> None:
    texts = list(golden()[kernel].values())
    parsed = [parse_format(text) for text in texts]
    asked = sum(len(re.findall(r"__print_(?:flags|symbolic)(?:_u64)?\(", text)) for text in texts)
    tables = [table for one in parsed for table in one["tables"]]
    assert len(tables) > 0.95 * asked
    named, unnamed = (sum(len(table[part]) for table in tables) for part in ("values", "unresolved"))
    assert named > 8 * unnamed


BLOCK = [("dev", 8, "u4"), ("sector", 16, "u8"), ("nr_sector", 24, "u4"), ("bytes", 28, "u4")]
BLOCK_WITHOUT_PRIORITY = [*BLOCK, ("rwbs", 32, "S8"), ("comm", 40, "S16"), ("cmd", 56, "u4")]


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("5.10", BLOCK_WITHOUT_PRIORITY),
        ("6.1", BLOCK_WITHOUT_PRIORITY),
        ("6.12", [*BLOCK, ("ioprio", 32, "u2"), ("rwbs", 34, "S8"), ("comm", 42, "S16"), ("cmd", 60, "u4")]),
        ("6.18", [*BLOCK, ("ioprio", 32, "u2"), ("rwbs", 34, "S10"), ("comm", 44, "S16"), ("cmd", 60, "u4")]),
        ("7", [*BLOCK, ("ioprio", 32, "u2"), ("rwbs", 34, "S10"), ("comm", 44, "S16"), ("cmd", 60, "u4")]),
    ],
)
def test_block_rq_issue(kernel: str, expected: list[tuple[str, int, str]]) -> None:
    text = golden()[kernel]["block/block_rq_issue"]
    assert columns(text) == expected
    parsed = parse_format(text)
    assert parsed["hints"] == {"dev": "device"}
    last = parsed["fields"][-1]
    assert (last["kind"], last["text"], last["relative"], last["element_size"]) == ("dynamic", True, False, 1)
    if "ioprio" in text:
        # The kernel forgot to replace these; BTF has them.
        priority = table(text, "ioprio")
        assert (priority["shift"], priority["mask"], priority["values"]) == (13, 7, [])
        assert ("IOPRIO_CLASS_RT", "rt") in priority["unresolved"]
        known = {"IOPRIO_CLASS_NONE": 0, "IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2}
        (priority,) = parse_format(text, known)["tables"]
        assert priority["values"] == [(0, "none"), (1, "rt"), (2, "be")]
        assert [enumerator for enumerator, _ in priority["unresolved"]] == parse_format(text, known)["unknown"]


@pytest.mark.parametrize("kernel", KERNELS)
def test_sched_switch(kernel: str) -> None:
    text = golden()[kernel]["sched/sched_switch"]
    assert columns(text) == [
        ("prev_comm", 8, "S16"),
        ("prev_pid", 24, "i4"),
        ("prev_prio", 28, "i4"),
        ("prev_state", 32, "i8"),
        ("next_comm", 40, "S16"),
        ("next_pid", 56, "i4"),
        ("next_prio", 60, "i4"),
    ]
    state = table(text, "prev_state")
    assert (state["kind"], state["delimiter"], state["shift"], state["mask"]) == ("flags", "|", 0, 0xFF)
    assert state["values"] == list(zip([1, 2, 4, 8, 16, 32, 64, 128], "SDTtXZPI", strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
def test_sys_enter_read(kernel: str) -> None:
    # Registers: 8 bytes each, whatever the parameter's type.
    expected = [("__syscall_nr", 8, "i4"), ("fd", 16, "u8"), ("buf", 24, "u8"), ("count", 32, "u8")]
    text = golden()[kernel]["syscalls/sys_enter_read"]
    assert columns(text) == expected
    assert [field["kind"] for field in parse_format(text)["fields"][4:]] == ["integer", "integer", "pointer", "integer"]


def test_urandom_read_of_old_kernels() -> None:
    text = (DATA / "random_urandom_read.format").read_text()
    assert columns(text) == [("got_bits", 8, "i4"), ("pool_left", 12, "i4"), ("input_left", 16, "i4")]
    assert parse_format(text)["size"] == 20


@pytest.mark.parametrize("kernel", KERNELS)
def test_enumerators_take_the_place_of_their_values(kernel: str) -> None:
    """Whatever is unknown becomes known, in its place among the others; where nothing is, nothing changes."""
    asked = resolved = 0
    for name, text in golden()[kernel].items():
        plain = parse_format(text)
        values = {word: number for number, word in enumerate(plain["unknown"])}
        found = parse_format(text, values)
        assert found == plain or values
        for before, after in zip(plain["tables"], found["tables"], strict=False):
            if (before["field"], before["kind"]) != (after["field"], after["kind"]):
                # One that had no entry before, in front of this.
                break
            asked += len(before["unresolved"])
            resolved += len(before["unresolved"]) - len(after["unresolved"])
            assert not after["unresolved"], name
            names = [text for _, text in after["values"]]
            assert {text for _, text in before["values"] + before["unresolved"]} <= set(names)
    assert resolved == asked > 100


def test_what_real_kernels_do_unexpectedly() -> None:
    # Two fields of one name.
    grab = parse_format(golden()["7"]["amdgpu/amdgpu_vm_grab_id"])
    assert [field["name"] for field in grab["fields"] if field["kernel_name"] == "ring"] == ["ring", "ring_2"]
    # A dynamic field whose type has no brackets.
    cpus = parse_format(golden()["7"]["ipi/ipi_send_cpumask"])["fields"][4]
    assert (cpus["kind"], cpus["element_size"], cpus["text"]) == ("dynamic", 8, False)
    # An array whose length only the record tells.
    text = parse_format(golden()["7"]["ftrace/print"])
    assert (text["fields"][-1]["kind"], text["fields"][-1]["size"], text["dtype"]["buf"]) == ("text", 0, np.dtype("S0"))
    # A line break within the string.
    assert "\n" in parse_format(golden()["7"]["ext4/ext4_fc_stats"])["format_string"]
    # Quotes that nobody escaped: the fields are there, the format string is not.
    lookup = parse_format(golden()["5.10"]["afs/afs_lookup"])
    assert (lookup["format_string"], len(lookup["fields"])) == ("", 7)


SHAPES: list[tuple[str, str, int, bool, str]] = [
    ("int {}", "integer", 4, True, "i4"),
    ("unsigned int {}", "integer", 4, False, "u4"),
    ("const volatile u64 {}", "integer", 8, False, "u8"),
    ("short {}", "integer", 2, True, "i2"),
    ("unsigned char {}", "integer", 1, False, "u1"),
    ("bool {}", "bool", 1, False, "u1"),
    ("enum what {}", "enum", 4, False, "u4"),
    ("const char * {}", "pointer", 8, False, "u8"),
    ("struct page *{}", "pointer", 8, False, "u8"),
    ("char {}[16]", "text", 16, True, "S16"),
    ("char[5] {}", "text", 5, False, "S5"),
    ("char {}[TASK_COMM_LEN]", "text", 16, False, "S16"),
    ("u8 {}[6]", "array", 6, False, "(6,)u1"),
    ("unsigned long {}[NR]", "array", 24, False, "(3,)u8"),
    ("s32 {}[2]", "array", 8, True, "(2,)i4"),
    ("__data_loc char[] {}", "dynamic", 4, True, "u4"),
    ("__rel_loc u32[] {}", "dynamic", 4, False, "u4"),
    ("struct { int a; int b; } {}", "opaque", 8, False, "V8"),
    ("uuid_t {}", "opaque", 16, False, "V16"),
]
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
PARTS = st.lists(st.tuples(NAMES, st.sampled_from(SHAPES), st.integers(0, 3)), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(name=NAMES, number=st.integers(0, 2**64 - 1), parts=PARTS)
def test_any_format_comes_back(name: str, number: int, parts: list[Any]) -> None:
    lines, expected, offset = [], [], 0
    for field, (declaration, kind, size, signed, dtype), gap in parts:
        offset += gap
        declared = declaration.replace("{}", field)
        lines.append(f"\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed:d};\n")
        expected.append((field, offset, size, signed, kind, np.dtype(dtype)))
        offset += size
    parsed = parse_format(f'name: {name}\nID: {number}\nformat:\n{"".join(lines)}\nprint fmt: ""\n')
    assert (parsed["name"], parsed["id"], parsed["size"]) == (name, number, offset)
    keys = ("kernel_name", "offset", "size", "signed", "kind")
    types = [parsed["dtype"].fields[field["name"]][0] for field in parsed["fields"]]
    described = [tuple(field[key] for key in keys) for field in parsed["fields"]]
    assert [(*facts, kind) for facts, kind in zip(described, types, strict=True)] == expected
    assert len(set(parsed["dtype"].names)) == len(parts)


def parse_quietly(text: str) -> None:
    try:
        parse_format(text)
    except ValueError as error:
        assert re.match(r"parse format: line \d+: ", str(error))


@settings(max_examples=250, deadline=None)
@given(text=st.text())
@example('name: x\nID: 1\nformat:\nfield:é[;offset:1;size:1;signed:1;\nprint fmt: "')
def test_any_text_is_a_format_or_refused(text: str) -> None:
    parse_quietly(text)
    parse_quietly(f"name: x\nID: 1\nformat:\n\tfield:{text};\toffset:8;\tsize:4;\tsigned:0;\nprint fmt: {text}")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_formats_are_read_or_refused(data: st.DataObject) -> None:
    formats = golden()[data.draw(st.sampled_from(KERNELS))]
    text = formats[data.draw(st.sampled_from(sorted(formats)))]
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 40)))
    parse_quietly(text[:start] + data.draw(st.text(max_size=20)) + text[stop:])
    parse_quietly(text[:start])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: truncated, no `name:` so far"),
        ("name: x\nID: 1\nformat:\n\tfield:int x;\toffset:0;\n", "line 4: field without `size`"),
        ("name: x\nID: one\n", "line 2: `ID:` is `one`, not a number"),
        ("name: x\nID: 1\nformat:\n\tfield:int x;\toffset:0;\tsize:65537;", "line 4: `size` is `65537`, out of range"),
        ("total nonsense", "line 1: `total nonsense` is not part of a format"),
    ],
)
def test_errors_say_line_and_cause(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^parse format: {re.escape(message)}$"):
        parse_format(text)
