"""The plain and the saved form of a histogram."""

from __future__ import annotations

import json
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given

from rtrace.errors import TraceFormatError
from rtrace.histogram import Histogram
from tests.unit.histograms import HISTOGRAMS, from_groups, from_latencies

if TYPE_CHECKING:
    from pathlib import Path


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
            ({"losses": 5}, "5 is not a mapping"),
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

    @pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
    def test_names_of_other_forms(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match=f"save to `.*{name}`: it is stored as .npz"):
            from_latencies([1]).save(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

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
