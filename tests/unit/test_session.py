"""The kernel's side of what runs: how long it ran."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.shapes.session import FunctionSession, PairSession, Session

if TYPE_CHECKING:
    from collections.abc import Callable

nothing: Any = None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Session(nothing, [], None, filtered=False),
        lambda: PairSession(nothing, [], None, filtered=False),
        lambda: FunctionSession(nothing, [], None, mechanism="", boundary="", storage="", filtered=False),
    ],
)
def test_the_clock_stops_when_it_is_detached(make: Callable[[], Session], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 101.0, 103.0, 999.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    session = make()
    assert session.lasted == 1
    for _ in range(2):
        session.detach()
        assert session.lasted == 3
