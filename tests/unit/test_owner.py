"""Owning something: that it is let go of, once, whatever becomes of the warning."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from rtrace.shapes.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable


class Held(Owner):
    """Writes down when it is let go of."""

    def __init__(self, released: list[str]) -> None:
        super().__init__("the recording of `a:b`")
        self.released = released

    def _release(self) -> None:
        self.released.append("released")

    def __repr__(self) -> str:
        return f"<Held{' closed' if self.closed else ''}>"


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_there_is_but_one_of_it(clone: Callable[[Owner], object]) -> None:
    released: list[str] = []
    with Held(released) as held:
        with pytest.raises(TypeError, match="cannot copy or pickle the recording of `a:b`: it is attached"):
            clone(held)
        assert released == []
    assert released == ["released"]


def test_losing_it_lets_go_and_warns() -> None:
    released: list[str] = []
    with pytest.warns(ResourceWarning, match="^unclosed <Held>$"):
        Held(released)
    assert released == ["released"]


def test_losing_it_lets_go_although_the_warning_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []
    raised: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: raised.append(found.exc_value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Held(released)
        gc.collect()
    assert (released, list(map(str, raised))) == (["released"], ["unclosed <Held>"])
