"""``rtrace list``: the kernel's tracepoints by pattern."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("events_folder")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ([], "block:made_up\nblock:other\nsched:sched_made\nsyscalls:sys_enter_made\n"),
        (["block:*"], "block:made_up\nblock:other\n"),
        (["other", "*:made_*"], "block:made_up\nblock:other\n"),
        (["*made", "sched_made"], "sched:sched_made\nsyscalls:sys_enter_made\n"),
        (["s*:*_?ade"], "sched:sched_made\nsyscalls:sys_enter_made\n"),
    ],
)
def test_matches_are_sorted_and_unique(rtrace: Call, patterns: list[str], found: str) -> None:
    assert rtrace("list", *patterns) == (0, found, "")


def test_json(rtrace: Call) -> None:
    status, out, err = rtrace("list", "--json", "block:*")
    assert (status, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"tracepoint": "block:made_up", "category": "block", "name": "made_up"},
        {"tracepoint": "block:other", "category": "block", "name": "other"},
    ]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("block:made_ip", "hint: did you mean block:made_up?\n"),
        ("sched_maid", "hint: did you mean sched:sched_made?\n"),
        ("blok:*", "hint: did you mean block:*?\n"),
        ("syscall:*", "hint: did you mean syscalls:*?\n"),
        ("ched_made", "hint: a pattern is for whole names; 1 match '*ched_made*'\n"),
        ("block", "hint: a category is listed by 'block:*'\n"),
        ("qqq", ""),
    ],
)
def test_nothing_found_suggests(rtrace: Call, pattern: str, hint: str) -> None:
    said = f"rtrace: error: list tracepoints that match `{pattern}`: there are none\n{hint}"
    assert rtrace("list", "block:*", pattern) == (1, "", said)
