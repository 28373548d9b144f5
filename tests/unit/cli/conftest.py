"""A measurement that measures nothing, for commands to be tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

from rtrace.cli import run
from rtrace.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrace.errors import RtraceError


def make(calls: int = 3, **facts: Any) -> Histogram:
    counts = np.zeros(64, np.uint64)
    counts[2] = calls
    shared = {
        "unit": "us",
        "target": "vfs_read",
        "mechanism": "syscall",
        "tool": "vfsreadlat",
        "duration": float(calls),
    }
    return Histogram(counts=counts, sum_ns=5000 * calls, **{**shared, **facts})


class Measurement:
    """Counts three calls more for each snapshot."""

    mechanism = "syscall"
    boundary = "entry to exit of read"

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.refused: dict[str, RtraceError] = {}
        self.calls = 0
        self.closed = False

    def snapshot(self) -> Histogram:
        self.calls += 3
        return make(self.calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """Return the list of measurements that commands have made; none of them traces."""
    measurements: list[Measurement] = []

    def attach(*arguments: str, **options: Any) -> Measurement:
        measurements.append(Measurement(arguments=arguments, **options))
        return measurements[-1]

    monkeypatch.setattr("rtrace.tools.vfsreadlat.vfsreadlat", attach)
    monkeypatch.setattr("rtrace.shapes.function_latency.function_latency", attach)
    return measurements


@pytest.fixture
def rtrace(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command and returns its status, output and errors."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(list(words))
        return status, *capsys.readouterr()

    return call
