"""The histogram itself: numbers, merging, stored forms, refusals."""

from __future__ import annotations

import copy
import json
import math
import pickle
import stat
import zipfile
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtrace.histogram_file  # noqa: F401  # so that no example has to wait for it
from rtrace.errors import TraceFormatError
from rtrace.histogram import SLOTS, Histogram

if TYPE_CHECKING:
    from pathlib import Path

STARTED = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "unit": "us",
    "target": "vfs_read",
    "tool": "vfsreadlat",
    "mechanism": "kprobe",
    "boundary": "entry to return",
    "host": "lab1",
    "kernel": "6.12.0+",
    "started": STARTED,
    "duration": 5.0,
}
NS = 1000


def from_latencies(latencies_ns: list[int], **facts: Any) -> Histogram:
    """Count as the kernel does."""
    counts = np.zeros(SLOTS, np.uint64)
    for latency in latencies_ns:
        counts[max(0, (latency // NS).bit_length() - 1)] += np.uint64(1)
    return Histogram(counts=counts, sum_ns=sum(latencies_ns), **{**FACTS, **facts})


def from_groups(groups: dict[Any, list[int]], by: str = "comm", **facts: Any) -> Histogram:
    parts = {key: from_latencies(values, **facts) for key, values in groups.items()}
    everything = [value for values in groups.values() for value in values]
    return replace(from_latencies(everything, **facts), by=by, groups=parts)


LATENCIES = st.lists(st.integers(0, 2**64 - 1), max_size=30)
SPLITS = st.dictionaries(st.text(max_size=15), LATENCIES, max_size=4)
LOSSES = st.dictionaries(st.text(max_size=8), st.integers(0, 2**63), max_size=3)
SETTINGS = st.dictionaries(
    st.text(max_size=8),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.lists(st.integers() | st.text(max_size=3), max_size=3),
    max_size=3,
)  # fmt: skip
WHOLES = st.builds(lambda values, losses, observed, nested, options: from_latencies(
    values, losses=losses, observed=observed, nested=nested, options=options),
    LATENCIES, LOSSES, LOSSES, st.integers(0, 9), SETTINGS)  # fmt: skip
HISTOGRAMS = WHOLES | st.builds(from_groups, SPLITS)


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
            ({"sum_ns": 1.5}, TypeError, "integer"),
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


class TestDict:
    """The plain form."""

    def test_contents(self) -> None:
        data = from_groups({"cat": [4000, 4001], "dd": [0]}, losses={"x": 2}).to_dict()
        buckets = [
            {"low": 0, "high": 2, "count": 1},
            {"low": 2, "high": 4, "count": 0},
            {"low": 4, "high": 8, "count": 2},
        ]
        assert data["buckets"] == buckets
        assert data["groups"][0] == {
            "key": "cat",
            "sum_ns": 8001,
            "buckets": [*({**b, "count": 0} for b in buckets[:2]), buckets[2]],
        }
        assert (data["schema"], data["version"], data["total"], data["lost"]) == ("rtrace.histogram", 1, 3, 2)
        assert data["started"] == "2025-01-02T03:04:05+00:00"
        assert from_latencies([]).to_dict()["mean"] is None

    @given(HISTOGRAMS)
    def test_round_trip(self, hist: Histogram) -> None:
        assert Histogram.from_dict(hist.to_dict()) == hist
        assert Histogram.from_dict(json.loads(hist.to_json(indent=2))) == hist
        json.dumps(hist.to_dict(), allow_nan=False)
        assert "\n" not in hist.to_json()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"schema": "other"}, "schema is 'other', not 'rtrace.histogram'"),
            ({"version": 2}, "schema version is 2, this rtrace reads 1"),
            ({"buckets": [{"low": 1, "high": 2, "count": 1}]}, "bucket 0 has the wrong bounds"),
            ({"buckets": [{}] * 65}, "65 buckets, more than 64"),
            ({"buckets": [{"low": 0, "high": 2, "count": -1}]}, "counts: one is outside"),
            ({"buckets": None}, "NoneType"),
            ({"started": "yesterday"}, "Invalid isoformat string"),
            ({"groups": [{"key": "a", "sum_ns": 0, "buckets": []}] * 2}, "a group is there twice"),
            ({"losses": 5}, "'int' object has no attribute 'items'"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(TraceFormatError, match=f"^read histogram: .*{message}"):
            Histogram.from_dict({**from_latencies([1]).to_dict(), **change})

    def test_every_key_is_needed(self) -> None:
        data = from_latencies([1]).to_dict()
        for key in data.keys() - {"total", "mean", "lost", "schema", "observed"}:
            with pytest.raises(TraceFormatError, match=f"'{key}' is missing"):
                Histogram.from_dict({name: value for name, value in data.items() if name != key})

    def test_files_of_earlier_versions_observed_nothing(self) -> None:
        data = from_latencies([1], observed={"ends": 1}).to_dict()
        del data["observed"]
        assert dict(Histogram.from_dict(data).observed) == {}

    def test_newer_version_says_what_to_do(self) -> None:
        with pytest.raises(TraceFormatError) as caught:
            Histogram.from_dict({**from_latencies([]).to_dict(), "version": 2})
        assert caught.value.hint == "upgrade rtrace"


class TestFile:
    """The saved form."""

    @given(hist=HISTOGRAMS)
    def test_round_trip(self, hist: Histogram, tmp_path_factory: pytest.TempPathFactory) -> None:
        path = tmp_path_factory.mktemp("saved") / "hist"
        hist.save(path)
        assert Histogram.load(path) == hist
        assert [file.name for file in path.parent.iterdir()] == ["hist"]

    def test_numpy_alone_can_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "hist.npz"
        from_groups({"a": [1, 1], "b": [9000]}).save(str(path))
        with np.load(path, allow_pickle=False) as stored:
            assert stored["counts"].sum() == 3
            assert stored["group_counts"].shape == (2, 64)
            assert json.loads(str(stored["metadata"]))["target"] == "vfs_read"

    def test_overwrites_and_keeps_links(self, tmp_path: Path) -> None:
        path, link = tmp_path / "hist.npz", tmp_path / "link"
        link.symlink_to(path)
        from_latencies([1]).save(path)
        from_latencies([1, 2]).save(link)
        assert link.is_symlink()
        assert Histogram.load(path).total == 2
        other = tmp_path / "other"
        other.touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)

    def test_failed_save_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "hist.npz"
        from_latencies([1]).save(path)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez_compressed", full)
        with pytest.raises(OSError, match="No space"):
            from_latencies([1, 2]).save(path)
        assert [file.name for file in tmp_path.iterdir()] == ["hist.npz"]
        assert Histogram.load(path).total == 1

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Histogram.load(tmp_path / "none.npz")
        with pytest.raises(IsADirectoryError):
            Histogram.load(tmp_path)

    def test_truncated_at_every_length(self, tmp_path: Path) -> None:
        path = tmp_path / "hist.npz"
        from_groups({"a": [1, 2]}).save(path)
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(TraceFormatError) as caught:
                Histogram.load(path)
            assert str(caught.value).startswith(f"read histogram `{path}`: ")
            assert caught.value.path == str(path)

    def test_flipped_bytes_never_go_wrong_silently(self, tmp_path: Path) -> None:
        path = tmp_path / "hist.npz"
        hist = from_groups({"a": [1, 2]})
        hist.save(path)
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            try:
                assert Histogram.load(path) == hist
            except TraceFormatError as error:
                assert str(path) in str(error)  # some bytes, such as a time stamp, do not matter

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "'metadata is not a file in the archive'"),
            ({"metadata": np.array("{")}, "Expecting property name"),
            ({"metadata": np.array("[]")}, "'list' object has no attribute 'get'"),
            ({"metadata": np.array('{"schema": "rtrace.trace"}')}, "schema is 'rtrace.trace'"),
            ({"metadata": np.array({}, dtype=object)}, "Object arrays cannot be loaded"),
            ({"counts": np.zeros(64)}, "dtype float64"),
            ({"counts": np.zeros(3, np.uint64)}, r"shape \(3,\)"),
            ({"group_counts": np.zeros((2, 64), np.uint64)}, "longer than"),
            ({"group_counts": np.zeros((1, 64), np.uint64)}, "do not add up"),
        ],
    )
    def test_wrong_contents(self, arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
        path = tmp_path / "hist.npz"
        from_groups({"a": [1, 2]}).save(path)
        with np.load(path) as stored:
            good = dict(stored) if arrays else {}
        np.savez(path, **{**good, **arrays})
        with pytest.raises(TraceFormatError, match=message):
            Histogram.load(path)

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x04N.", b"\x93NUMPY\x01\x00"])
    def test_other_files(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "hist.npz"
        path.write_bytes(content)
        with pytest.raises(TraceFormatError):
            Histogram.load(path)

    def test_one_array_and_other_archives(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        with path.open("wb") as file:
            np.save(file, np.zeros(64, np.uint64))
        with pytest.raises(TraceFormatError, match="one array and not a histogram"):
            Histogram.load(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata", "{}")
        with pytest.raises(TraceFormatError):
            Histogram.load(path)


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
