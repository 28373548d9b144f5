"""``rtrace format``: what a tracepoint's record looks like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.conftest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("events_folder")

SHOWN = """\
block:made_up (ID 7, 88 bytes)

FIELD        TYPE               OFFSET  SIZE  NUMPY
dev          dev_t                   8     4  u4
pid          pid_t                  12     4  i4, as pid_
rwbs         char[8]                16     8  S8
state        int                    24     4  i4
prio         int                    28     4  i4
cmd          __data_loc char[]      32     4  S64
args         unsigned long[6]       40    48  u8[6]

common_type  unsigned short          0     2  u2
common_pid   int                     4     4  i4

state & 0x7, flags: 0x1=S, 0x2=D

prio, symbols: 0=none, IDLE=idle

as major,minor of a device: dev

printed as: '%d,%d %s\\n'
"""


def test_fields_names_and_the_kernels_own_format(rtrace: Call) -> None:
    assert rtrace("format", "block:made_up") == (0, SHOWN, "")


def test_raw_is_the_kernels_file(rtrace: Call) -> None:
    assert rtrace("format", "--raw", "block:made_up") == (0, FORMAT, "")


def test_json(rtrace: Call) -> None:
    status, out, err = rtrace("format", "--json", "block:made_up")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert (found["tracepoint"], found["name"], found["id"], found["size"]) == ("block:made_up", "made_up", 7, 88)
    assert [field["name"] for field in found["fields"] if not field["common"]] == [
        "dev", "pid", "rwbs", "state", "prio", "cmd", "args",
    ]  # fmt: skip
    pid = next(field for field in found["fields"] if field["name"] == "pid")
    assert (pid["column"], pid["numpy"], pid["c_type"], pid["offset"]) == ("pid_", "i4", "pid_t", 12)
    assert found["hints"] == {"dev": "device"}
    assert [table["field"] for table in found["tables"]] == ["state", "prio"]


def test_long_lists_of_names_are_wrapped(rtrace: Call, events_folder: Path) -> None:
    values = ", ".join(f'{{ {number}, "name{number}" }}' for number in range(40))
    fmt = FORMAT.partition("print fmt:")[0] + f'print fmt: "%s", __print_symbolic(REC->prio, {values})\n'
    (events_folder / "block/other/format").write_text(fmt)
    _, out, _ = rtrace("format", "block:other")
    assert "39=name39" in out
    assert max(map(len, out.splitlines())) < 80


@pytest.mark.parametrize("target", ["made_up", "block:", ":made_up", "block:../made_up"])
def test_what_is_no_name_of_a_tracepoint(rtrace: Call, target: str) -> None:
    said = f"rtrace: error: {target!r} is not the name of a tracepoint, like 'block:block_rq_issue'\n"
    hint = "hint: `rtrace list PATTERN` lists the kernel's tracepoints\n"
    assert rtrace("format", target) == (2, "", said + hint)


def test_one_that_is_not_there(rtrace: Call) -> None:
    said = (
        "rtrace: error: trace `block:made_ip`: the kernel has no such tracepoint\nhint: did you mean block:made_up?\n"
    )
    assert rtrace("format", "block:made_ip") == (1, "", said)


def test_a_file_that_is_no_format(rtrace: Call, events_folder: Path) -> None:
    (events_folder / "block/other/format").write_text("name: other\n")
    status, out, err = rtrace("format", "block:other")
    assert (status, out) == (1, "")
    assert err.startswith("rtrace: error: read the format of `block:other`: parse format: line 1: truncated")
    assert err.endswith("hint: `rtrace format --raw block:other` prints it as it is\n")


def test_one_way_only(rtrace: Call) -> None:
    assert rtrace("format", "--raw", "--json", "block:made_up")[0] == 2
