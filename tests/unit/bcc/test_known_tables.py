"""Tables by name: made once, under both forms of the name, and let go with their owner."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from rtrace import _rtrace


class Owner(_rtrace.Tables):
    """Makes a table of what it is asked for, and takes no other name than `counts`."""

    def __init__(self, size: int = 0, *, label: str = "") -> None:
        self.size = size
        self.label = label
        self.asked: list[str | bytes] = []

    def __missing__(self, name: str | bytes) -> Table:
        self.asked.append(name)
        if name not in {"counts", b"counts"}:
            raise LookupError(name)
        table = Table(self)
        self.known["counts"] = self.known_raw[b"counts"] = table
        return table


class Table:
    """Knows its owner, as tables do."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner


@pytest.mark.parametrize("first", ["counts", b"counts"])
def test_both_forms_of_a_name_are_the_same_table(first: str | bytes) -> None:
    owner = Owner(3, label="as its class likes")
    table = owner[first]
    assert owner["counts"] is table is owner[b"counts"]
    assert owner[str(b"counts", "ascii")] is table
    assert owner.asked == [first]


def test_what_there_is_not_is_asked_for_each_time() -> None:
    owner = Owner()
    for _ in range(2):
        with pytest.raises(LookupError):
            owner["other"]
    assert owner.asked == ["other", "other"]
    with pytest.raises(TypeError, match="unhashable"):
        owner[[]]


def test_an_owner_and_its_tables_go_together() -> None:
    owner = Owner()
    gone = weakref.ref(owner["counts"])
    del owner
    gc.collect()
    assert gone() is None


def test_bytes_and_str_are_never_compared() -> None:
    script = """
from rtrace import _rtrace
class Owner(_rtrace.Tables):
    def __missing__(self, name):
        self.known["counts"] = self.known_raw[b"counts"] = self
        return self
owner = Owner()
assert owner[b"counts"] is owner["counts"] is owner
"""
    subprocess.run([sys.executable, "-bb", "-c", script], check=True)
