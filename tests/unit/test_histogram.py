"""The histogram itself: numbers, facts, groups, refusals."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrace.histogram import Histogram
from tests.unit.histograms import FACTS, HISTOGRAMS, LATENCIES, NS, STARTED, from_groups, from_latencies


class TestNumbers:
    """What it says about the latencies."""

    def test_arrays(self) -> None:
        hist = from_latencies([0, 1999, 2000, 5_000_000])
        assert hist.counts.shape == (64,)
        assert hist.counts.dtype == np.uint64
        assert hist.edges.shape == (65,)
        assert hist.edges.dtype == np.float64
        assert hist.edges[:4].tolist() == [0, 2, 4, 8]
        assert hist.edges[64] == 2.0**64
        assert hist.counts.nonzero()[0].tolist() == [0, 1, 12]
        assert (hist.total, hist.sum_ns, hist.mean) == (4, 5_003_999, 5003.999 / 4)

    def test_counts_are_a_read_only_copy(self) -> None:
        counts = np.ones(64, np.uint64)
        hist = Histogram(counts=counts, sum_ns=1, unit="us", target="x")
        counts[:] = 9
        assert hist.total == 64
        with pytest.raises(ValueError, match="read-only"):
            hist.counts[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            hist.counts.flags.writeable = True

    def test_huge_counts(self) -> None:
        hist = Histogram(counts=[2**64 - 1] * 64, sum_ns=2**90, unit="s", target="x")
        assert hist.total == 64 * (2**64 - 1)
        assert hist.percentile(100) == (2**63, 2**64)

    def test_empty(self) -> None:
        hist = from_latencies([])
        assert hist.total == 0
        assert math.isnan(hist.mean)
        assert hist  # always true: total says whether anything was counted
        with pytest.raises(ValueError, match="no calls were counted"):
            hist.percentile(50)

    @pytest.mark.parametrize("p", [-1, 100.5, math.nan, math.inf])
    def test_percentile_range(self, p: float) -> None:
        with pytest.raises(ValueError, match=r"outside 0\.\.100"):
            from_latencies([1]).percentile(p)

    @pytest.mark.parametrize("p", [True, "50", None, np.array([50]), np.array(50), np.True_, 50j])
    def test_percentile_of_no_number(self, p: Any) -> None:
        with pytest.raises(TypeError, match="percentile .*: not a number from 0 to 100"):
            from_latencies([1]).percentile(p)

    def test_percentile_of_any_number(self) -> None:
        assert {from_latencies([1]).percentile(p) for p in (50, Decimal(50), np.float32(50), np.uint8(50))} == {(0, 2)}  # type: ignore[arg-type]

    def test_percentile_rank_is_exact(self) -> None:
        hist = from_latencies([0] * 999 + [8_000])
        assert hist.percentile(99.9) == (0, 2)
        assert hist.percentile(99.91) == (8, 16)
        assert from_latencies([0] * 7 + [8_000] * 93).percentile(7) == (0, 2)

    @given(LATENCIES.filter(bool), st.integers(0, 100))
    def test_percentile_bounds_contain_nearest_rank(self, latencies: list[int], p: int) -> None:
        low, high = from_latencies(latencies).percentile(p)
        nearest = sorted(latencies)[max(1, -(-p * len(latencies) // 100)) - 1]
        assert low * NS <= nearest < high * NS

    @given(st.lists(st.integers(0, 2**50), min_size=1, max_size=30), st.sampled_from([0, 25, 50, 75, 100]))
    def test_percentile_bounds_contain_numpys(self, latencies: list[int], p: int) -> None:
        low, high = from_latencies(latencies).percentile(p)
        assert low <= np.percentile(np.array(latencies) / NS, p, method="inverted_cdf") < high


class TestFacts:
    """What it takes and refuses."""

    @pytest.mark.parametrize(
        ("facts", "kind", "message"),
        [
            ({"counts": np.zeros(63, np.uint64)}, ValueError, r"counts: shape \(63,\)"),
            ({"counts": np.zeros(64)}, TypeError, "counts: dtype float64"),
            ({"counts": [0.5] * 64}, TypeError, "counts: 0.5 is not an integer"),
            ({"counts": [-1] + [0] * 63}, ValueError, "counts: one is outside"),
            ({"counts": [2**64] + [0] * 63}, ValueError, "counts: one is outside"),
            ({"sum_ns": -1}, ValueError, "sum_ns: -1 is negative"),
            ({"sum_ns": 1.5}, TypeError, "sum_ns: 1.5 is not an integer"),
            ({"nested": None}, TypeError, "nested: None is not an integer"),
            ({"losses": 1}, TypeError, "losses: 1 is not a mapping"),
            ({"losses": 0}, TypeError, "losses: 0 is not a mapping"),
            ({"observed": 5}, TypeError, "observed: 5 is not a mapping"),
            ({"options": 1}, TypeError, "options: 1 is not a mapping"),
            ({"groups": [1], "by": "pid"}, TypeError, r"groups: \[1\] is not a mapping"),
            ({"unit": {}}, ValueError, "unit: {} is not one of ns, us, ms, s"),
            ({"duration": "1"}, TypeError, "duration: '1' is not a duration"),
            ({"duration": None}, TypeError, "duration: None is not a duration"),
            ({"unit": "usecs"}, ValueError, "unit: 'usecs' is not one of ns, us, ms, s"),
            ({"target": b"x"}, TypeError, "target: b'x' is not a str"),
            ({"started": STARTED.replace(tzinfo=None)}, ValueError, "no time zone"),
            ({"started": "now"}, TypeError, "not a datetime"),
            ({"duration": math.nan}, ValueError, "duration: nan"),
            ({"duration": -1}, ValueError, "duration: -1.0"),
            ({"losses": {"x": -1}}, ValueError, "x: -1 is negative"),
            ({"options": {"x": object()}}, TypeError, "option `x`: .* does not fit JSON"),
            ({"options": {"x": [math.inf]}}, ValueError, "option `x`: inf does not fit JSON"),
            ({"options": {1: 1}}, TypeError, "option: 1 is not a str"),
        ],
    )
    def test_refusals(self, facts: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            Histogram(**{"counts": [0] * 64, "sum_ns": 0, **FACTS, **facts})

    def test_frozen(self) -> None:
        hist = from_latencies([1], losses={"x": 1}, options={"pid": 1})
        with pytest.raises(FrozenInstanceError):
            hist.sum_ns = 2  # type: ignore[misc]
        for mapping in (hist.losses, hist.options, hist.groups):
            with pytest.raises(TypeError):
                mapping["x"] = 2  # type: ignore[index]
        with pytest.raises(TypeError, match="unhashable"):
            hash(hist)

    def test_as_dict_of_dataclasses(self) -> None:
        hist = from_groups({"a": [1], "b": [5]}, losses={"x": 1}, options={"pid": 1})
        found = asdict(hist)
        assert (found["losses"], found["options"], found["numbers"]) == ({"x": 1}, {"pid": 1}, hist.numbers)
        assert found["groups"]["a"]["sum_ns"] == hist.groups["a"].sum_ns
        assert json.dumps(hist.losses) == '{"x": 1}'

    def test_plain_types(self) -> None:
        hist = from_latencies(
            [1], nested=np.int64(3), losses={"x": np.uint64(2)}, options={"pid": np.uint32(4), "k": [1]}
        )
        assert (type(hist.nested), type(hist.lost)) == (int, int)
        assert dict(hist.options) == {"pid": 4, "k": (1,)}
        there = STARTED.astimezone(timezone(timedelta(hours=2)))
        assert from_latencies([], started=there).started == STARTED
        assert str(from_latencies([], started=there).started).endswith("03:04:05+00:00")

    def test_equality_covers_every_fact(self) -> None:
        hist = from_latencies([1], options={"pid": 1})
        assert hist == from_latencies([1], options={"pid": 1})
        assert hist != "x"
        changes: tuple[dict[str, Any], ...] = (
            {"host": "b"},
            {"options": {}},
            {"nested": 1},
            {"losses": {"x": 1}},
            {"duration": 1.0},
            {"sum_ns": 9},
        )
        for change in changes:
            assert hist != replace(hist, **change)

    @given(HISTOGRAMS)
    def test_copies(self, hist: Histogram) -> None:
        assert pickle.loads(pickle.dumps(hist)) == hist == copy.deepcopy(hist) == copy.copy(hist)  # noqa: S301


class TestGroups:
    """A histogram split by pid or comm."""

    def test_sorted_by_total_and_sharing_the_facts(self) -> None:
        hist = from_groups({"b": [1], "a": [1], "z": [5000, 7], "none": []}, options={"pid": 3})
        assert list(hist.groups) == ["z", "a", "b"]
        assert hist.groups["z"].sum_ns == 5007
        bare = {"x": Histogram(counts=hist.counts, sum_ns=hist.sum_ns, unit="us", target="vfs_read")}
        group = replace(hist, groups=bare, losses={"y": 1}, observed={"z": 1}, nested=4).groups["x"]
        assert (group.host, dict(group.options), group.by) == ("lab1", {"pid": 3}, None)
        assert (dict(group.losses), dict(group.observed), group.nested) == ({}, {}, 0)

    def test_pids_become_int(self) -> None:
        hist = from_groups({np.uint32(7): [1], 10: [1]}, by="pid")
        assert [(type(key), key) for key in hist.groups] == [(int, 7), (int, 10)]

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            ({"by": None}, ValueError, "`by` does not say"),
            ({"groups": None}, ValueError, "counts do not add up"),
            ({"sum_ns": 2}, ValueError, "sums of latencies do not add up"),
            ({"groups": {b"a": from_latencies([1])}}, TypeError, "group b'a': a key is an int or a str"),
            (
                {"groups": {"a": from_latencies([1], target="x")}},
                ValueError,
                "group 'a': target is 'x', not 'vfs_read'",
            ),
            ({"groups": {"a": from_latencies([1], unit="ns")}}, ValueError, "group 'a': unit is 'ns', not 'us'"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            replace(from_groups({"a": [1]}), **change)


class TestPandas:
    """The data frame."""

    def test_whole(self) -> None:
        pytest.importorskip("pandas")
        frame = from_latencies([0, 5000, 5000]).to_pandas()
        assert frame.to_dict("list") == {"low": [0, 2, 4], "high": [2, 4, 8], "count": [1, 0, 2]}
        assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "uint64"]

    def test_groups(self) -> None:
        pytest.importorskip("pandas")
        frame = from_groups({7: [0], 9: [2000, 2000]}, by="pid").to_pandas()
        assert list(frame.columns) == ["pid", "low", "high", "count"]
        assert frame["pid"].tolist() == [9, 9, 7, 7]
        assert frame["count"].tolist() == [0, 2, 1, 0]

    def test_empty(self) -> None:
        pytest.importorskip("pandas")
        frame = from_latencies([]).to_pandas()
        assert len(frame) == 0
        assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "uint64"]
        assert list(from_groups({}).to_pandas().columns) == ["comm", "low", "high", "count"]
