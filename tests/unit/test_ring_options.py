"""The options of ring buffers, and those that every shape has."""

from __future__ import annotations

from typing import Any

import pytest

from rtrace.shapes.latency_options import check_field_bytes
from rtrace.shapes.ring_options import SMALLEST, RingOptions


def test_the_defaults() -> None:
    options = RingOptions()
    assert options.wakeup_bytes * 8 == options.ring_bytes
    assert options.max_bytes > options.ring_bytes
    assert options.when_full == "wait"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ring_bytes": SMALLEST - 1}, "ring_bytes must be a power of two"),
        ({"ring_bytes": 3 * SMALLEST}, "ring_bytes must be a power of two"),
        ({"ring_bytes": 2**31}, "ring_bytes must be a power of two"),
        ({"wakeup_bytes": -1}, "wakeup_bytes must be at most ring_bytes"),
        ({"ring_bytes": SMALLEST, "wakeup_bytes": SMALLEST + 1}, f"at most ring_bytes, {SMALLEST}"),
        ({"max_bytes": 0}, "max_bytes must be positive"),
        ({"when_full": "drop"}, "when_full must be one of 'wait', 'drop_newest', 'drop_oldest', not 'drop'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RingOptions(**options)


def test_every_record_may_wake() -> None:
    assert RingOptions(wakeup_bytes=0).wakeup_bytes == 0


def test_sizes_of_fields() -> None:
    check_field_bytes(max_text=8, max_array=2048)
    for size in (0, 7, 2056):
        with pytest.raises(ValueError, match="max_text must be a multiple of 8"):
            check_field_bytes(max_array=8, max_text=size)
