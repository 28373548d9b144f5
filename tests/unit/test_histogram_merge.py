"""Sums and differences of histograms."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from rtrace.histogram import Histogram
from tests.unit.histograms import HISTOGRAMS, LATENCIES, STARTED, WHOLES, from_latencies


class TestMerge:
    """Sum and difference."""

    @given(LATENCIES, LATENCIES)
    def test_merge_counts_as_one_measurement(self, one: list[int], other: list[int]) -> None:
        assert from_latencies(one) + from_latencies(other) == from_latencies(one + other, duration=10.0)

    @given(HISTOGRAMS, HISTOGRAMS)
    def test_difference_is_the_inverse(self, one: Histogram, other: Histogram) -> None:
        one = replace(one, options={})
        other = replace(other, options={}, started=STARTED + timedelta(seconds=5))
        if one.by == other.by:
            whole = one + other
            rest = whole - one
            causes: dict[str, Any] = {
                name: {**dict.fromkeys(getattr(one, name), 0), **getattr(other, name)}
                for name in ("losses", "observed")
            }
            assert rest == replace(other, **causes)
            assert one + rest == whole

    @given(WHOLES, WHOLES, WHOLES)
    def test_merge_is_associative_and_commutative(self, one: Histogram, two: Histogram, three: Histogram) -> None:
        one, two, three = (replace(hist, options={"pid": n}, host=f"h{n}") for n, hist in enumerate((one, two, three)))
        assert (one + two) + three == one + (two + three)
        assert one + two == two + one
        assert sum([one, two, three]) == one + two + three

    def test_facts_of_a_merge(self) -> None:
        one = from_latencies([1], losses={"a": 1}, nested=1, options={"pid": 7, "tid": 1})
        other = from_latencies(
            [1], losses={"a": 2, "b": 3}, nested=2, options={"pid": 9, "tid": 1, "uid": 0}, mechanism="fentry",
            host="lab2", boundary="", started=STARTED - timedelta(days=1), duration=1.5,
        )  # fmt: skip
        both = one + other + other
        assert (both.mechanism, both.host, both.kernel) == ("fentry + kprobe", "lab1 + lab2", "6.12.0+")
        assert (both.boundary, both.duration, both.nested) == ("entry to return", 8.0, 5)
        assert both.started == STARTED - timedelta(days=1)
        assert dict(both.losses) == {"a": 5, "b": 6}
        assert dict(both.options) == {"pid": (7, 9), "tid": 1, "uid": (None, 0)}
        assert (from_latencies([], started=None) + one).started == STARTED

    @pytest.mark.parametrize("change", [{"target": "vfs_write"}, {"unit": "ns"}, {"by": "pid"}])
    def test_merge_refuses_other_things(self, change: dict[str, Any]) -> None:
        name = next(iter(change))
        with pytest.raises(ValueError, match=f"add histograms of `vfs_read`: {name} differs, .* and '{change[name]}'"):
            from_latencies([]) + from_latencies([], **change)

    def test_merge_refuses_overflow(self) -> None:
        hist = Histogram(counts=[2**64 - 1] + [0] * 63, sum_ns=0, unit="us", target="x")
        with pytest.raises(ValueError, match="outside"):
            hist + hist

    def test_what_was_observed_is_counted_but_what_is_under_way_is_not(self) -> None:
        """Starts without an end are those of a moment: fewer later is no mistake."""
        earlier = from_latencies([1], observed={"ends": 3, "starts_not_ended": 5})
        later = from_latencies([1, 1], duration=6.0, observed={"ends": 10, "starts_not_ended": 2})
        assert dict((later - earlier).observed) == {"ends": 7, "starts_not_ended": 2}
        assert dict((earlier + later).observed) == {"ends": 13, "starts_not_ended": 7}
        with pytest.raises(ValueError, match="count would become negative"):
            later - replace(earlier, observed={"ends": 11})

    def test_difference_refuses(self) -> None:
        earlier, later = from_latencies([1]), from_latencies([1, 1], duration=6.0)
        assert (later - earlier).started == STARTED + timedelta(seconds=5)
        with pytest.raises(ValueError, match=r"lasted longer, 6\.0 of 5\.0 s"):
            earlier - later
        with pytest.raises(ValueError, match="count would become negative"):
            replace(later, counts=np.zeros(64, np.uint64)) - earlier
        with pytest.raises(ValueError, match="count would become negative"):
            later - replace(earlier, losses={"x": 1})
        with pytest.raises(ValueError, match="host differs, 'lab1' and 'b'"):
            later - replace(earlier, host="b")
        with pytest.raises(ValueError, match=r"started differs, 2025-01-02T03:04:05\+00:00 and 2025-01-03"):
            later - replace(earlier, started=STARTED + timedelta(days=1))
        with pytest.raises(ValueError, match=r"options differs, \{\} and \{'pid': 1\}"):
            later - replace(earlier, options={"pid": 1})

    def test_other_types(self) -> None:
        for wrong in (1, None, "x"):
            with pytest.raises(TypeError):
                from_latencies([]) + wrong  # type: ignore[operator]
            with pytest.raises(TypeError):
                wrong + from_latencies([])  # type: ignore[operator]
            with pytest.raises(TypeError):
                from_latencies([]) - wrong  # type: ignore[operator]
