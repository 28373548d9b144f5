"""Options as users give them: what is taken, and what is refused by name."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtrace
from rtrace import option_checks

NO_NUMBERS: list[Any] = ["5", b"5", [], {}, object(), True, None]
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers())
)


@pytest.mark.parametrize("number", [5, np.int64(5), np.uint8(5)])
def test_whole_numbers_of_any_kind(number: Any) -> None:
    assert type(option_checks.whole("count", number, "at least 1", 1, 10)) is int


@pytest.mark.parametrize("value", [*NO_NUMBERS, 5.0, float("nan")])
def test_no_whole_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="^count must be a whole number, not "):
        option_checks.whole("count", value, "at least 1", 1, 10)


@pytest.mark.parametrize("value", [0, -1, 10, 2**70])
def test_whole_numbers_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match=f"^count must be at least 1, not {value}$"):
        option_checks.whole("count", value, "at least 1", 1, 10)


@pytest.mark.parametrize("value", [0.5, Fraction(1, 2), Decimal("0.5"), np.float32(0.5)])
def test_times_of_any_kind(value: Any) -> None:
    found = option_checks.seconds("duration", value)
    assert (type(found), found) == (float, 0.5)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_no_times(value: Any) -> None:
    with pytest.raises(TypeError, match="^duration must be a time in seconds, not "):
        option_checks.seconds("duration", value)


def test_no_time_at_all() -> None:
    assert option_checks.maybe_seconds("duration", None) is None
    assert option_checks.seconds("min_latency", 0, zero=True) == 0
    for wrong in (0, -1, float("inf"), float("nan"), 1e30):
        with pytest.raises(ValueError, match="interval must be a positive time"):
            option_checks.seconds("interval", wrong)


def test_names() -> None:
    assert option_checks.names("key", np.array(["dev", "sector"]).tolist()) == ("dev", "sector")
    for wrong in (3, None, [1], b"dev", [b"dev"]):
        with pytest.raises(TypeError, match="^key must be a name or a sequence of names, not "):
            option_checks.names("key", wrong)  # type: ignore[arg-type]


OPTIONS = {
    "function_latency": ("duration", "interval", "count", "pid", "tid", "cgroup", "min_latency", "by", "max_groups"),
    "tracepoint_events": (
        "duration",
        "fields",
        "filter",
        "pid",
        "tid",
        "cgroup",
        "max_text",
        "max_array",
        "ring_bytes",
    ),
    "tracepoint_latency": (
        "key",
        "duration",
        "fields",
        "min_latency",
        "pid",
        "max_starts",
        "wakeup_bytes",
        "max_bytes",
    ),
    "live": ("interval", "duration", "keep"),
}
TARGETS: dict[str, tuple[str, ...]] = {
    "function_latency": ("vfs_read",),
    "tracepoint_events": ("no:such",),
    "tracepoint_latency": ("no:such", "no:such"),
    "live": (),
}


@pytest.mark.parametrize(("function", "option"), [(name, one) for name, options in OPTIONS.items() for one in options])
def test_the_option_is_named(function: str, option: str) -> None:
    options: dict[str, Any] = {"key": "dev"} if function == "tracepoint_latency" else {}
    # Fields are of the kernel's tracepoints, so those are asked for first.
    expected = (TypeError, ValueError, rtrace.TargetNotFoundError, rtrace.PrivilegeError)
    with pytest.raises(expected) as caught:
        getattr(rtrace, function)(*TARGETS[function], **{**options, option: object()})
    if not isinstance(caught.value, rtrace.RtraceError):
        assert str(caught.value).startswith(f"{option} must be ")


@given(ANYTHING)
def test_checks_return_or_refuse(value: Any) -> None:
    for check in (
        lambda: option_checks.whole("x", value, "small", 0, 10),
        lambda: option_checks.seconds("x", value),
        lambda: option_checks.names("x", value),
        lambda: option_checks.text("x", value),
        lambda: option_checks.choice("x", value, (None, "a")),
    ):
        try:
            check()
        except (TypeError, ValueError) as error:
            assert str(error).startswith("x must be ")
