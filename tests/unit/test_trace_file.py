"""The stored forms of a trace, and what becomes of files that are none."""

from __future__ import annotations

import json
import pickle
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrace.errors import TraceFormatError
from rtrace.histogram import Histogram
from rtrace.trace import FieldFacts, Trace
from tests.unit.random_records import records

FORMS = ["npz", "parquet"]
SCALARS = [
    "u1",
    "i1",
    "u2",
    "i2",
    "u4",
    "i4",
    "u8",
    "i8",
    "f4",
    "f8",
    "?",
    "S1",
    "S5",
    "S16",
    "(3,)u1",
    "(1,)i8",
    "(2,)?",
]


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Make traces of any layout, their bytes at random."""
    made = draw(records(SCALARS, most=4, align=True))
    counts = st.dictionaries(st.text(max_size=5), st.integers(0, 2**60), max_size=2)
    losses = draw(counts)
    tables = st.dictionaries(st.integers(-(2**63), 2**64), st.text(max_size=4), max_size=3)
    facts = st.builds(FieldFacts, unit=st.text(max_size=3), description=st.text(max_size=5), symbols=tables)
    return Trace(
        records=made,
        target=draw(st.text(max_size=8)),
        host=draw(st.text(max_size=4)),
        started=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
        duration=draw(st.floats(0, 1e9)),
        clock_offset_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        lost_per_cpu=(sum(losses.values()),),
        losses=losses,
        observed=draw(counts),
        options=draw(st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.lists(st.text(max_size=3)))),
        fields={name: draw(facts) for name in made.dtype.names or () if draw(st.booleans())},
    )


def small_trace() -> Trace:
    dtype = [("ts_ns", "u8"), ("pid", "i4"), ("comm", "S16"), ("address", "u1", (4,))]
    return Trace(
        records=np.array([(1000, 7, b"dd", [127, 0, 0, 1]), (2000, -1, b"cat", [0] * 4)], dtype),
        target="a:b",
        started=datetime(2025, 1, 2, tzinfo=UTC),
        losses={"events_not_stored": 1},
        fields={"pid": FieldFacts(symbols={-1: "nobody"})},
    )


@pytest.fixture(params=FORMS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow.parquet")
    return tmp_path / f"trace.{request.param}"


class TestRoundTrip:
    """What is saved is what is loaded."""

    @pytest.mark.parametrize("form", FORMS)
    # The first call imports pyarrow.
    @settings(deadline=None)
    @given(trace=traces())
    def test_any_trace(self, form: str, trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> None:
        if form == "parquet":
            pytest.importorskip("pyarrow.parquet")
        path = tmp_path_factory.mktemp("saved") / f"trace.{form}"
        trace.save(path)
        again = Trace.load(path)
        assert again == trace
        assert again.records.dtype == trace.records.dtype
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_many_records(self, path: Path) -> None:
        records = np.zeros(300_000, [("ts_ns", "u8"), ("comm", "S16"), ("same", "u8")])
        records["ts_ns"] = np.arange(len(records)) * 1000
        records["comm"] = np.array([b"a", b"bb", b"\xff"])[np.arange(len(records)) % 3]
        trace = Trace(records=records, target="a:b")
        trace.save(path)
        assert Trace.load(str(path)) == trace

    def test_numpy_alone_can_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        small_trace().save(path)
        with np.load(path, allow_pickle=False) as stored:
            assert stored["records"]["comm"].tolist() == [b"dd", b"cat"]
            assert json.loads(str(stored["metadata"]))["target"] == "a:b"

    def test_others_can_read_parquet(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "trace.parquet"
        small_trace().save(path)
        table = parquet.read_table(path)
        assert [str(kind) for kind in table.schema.types[:3]] == ["uint64", "int32", "string"]
        assert table.to_pylist()[0] == {"ts_ns": 1000, "pid": 7, "comm": "dd", "address": [127, 0, 0, 1]}


class TestOtherFiles:
    """Whatever else a file holds is refused by its name."""

    def test_csv_is_written_by_another_method(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"save to `.*x\.csv`: it is stored as \.npz"):
            Trace(records=np.zeros(0, [("ts_ns", "u8")]), target="a:b").save(tmp_path / "x.csv")
        assert list(tmp_path.iterdir()) == []

    def test_missing(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Trace.load(path)
        path.mkdir()
        with pytest.raises(IsADirectoryError):
            Trace.load(path)

    def test_truncated(self, path: Path) -> None:
        small_trace().save(path)
        whole = path.read_bytes()
        for length in range(0, len(whole), 1 if path.suffix == ".npz" else 7):
            path.write_bytes(whole[:length])
            with pytest.raises(TraceFormatError) as caught:
                Trace.load(path)
            assert str(caught.value).startswith(f"read trace `{path}`: ")
            assert caught.value.path == str(path)

    def test_flipped_bytes(self, path: Path) -> None:
        trace = small_trace()
        trace.save(path)
        whole = path.read_bytes()
        for place in range(0, len(whole), 1 if path.suffix == ".npz" else 3):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            try:
                loaded = Trace.load(path)
            except TraceFormatError:
                continue
            # Parquet has no checksums: what is read is a valid trace, but not always the same.
            assert loaded == trace or path.suffix == ".parquet"

    def test_results_of_another_kind(self, tmp_path: Path) -> None:
        path = tmp_path / "result.npz"
        Histogram(counts=np.zeros(64, np.uint64), sum_ns=0, unit="us", target="vfs_read").save(path)
        with pytest.raises(TraceFormatError, match=r"schema is 'rtrace\.histogram', not 'rtrace\.trace'") as caught:
            Trace.load(path)
        assert caught.value.hint == "read it with rtrace.Histogram"
        small_trace().save(path)
        with pytest.raises(TraceFormatError, match=r"schema is 'rtrace\.trace', not 'rtrace\.histogram'") as caught:
            Histogram.load(path)
        assert caught.value.hint == "read it with rtrace.Trace"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 2}, "schema version is 2, this rtrace reads 1"),
            ({"events": 3}, "2 records of 3"),
            ({"events": None}, "2 records of None"),
            ({"started": "yesterday"}, "isoformat"),
            ({"losses": {}}, "'losses' is missing"),
            ({"lost_per_cpu": [5]}, "more than the 1 of losses"),
            ({"fields": {"nope": FieldFacts().to_dict()}}, "no column `nope`"),
            ({"fields": {"pid": {}}}, "is missing"),
            ({"options": [1]}, "is not a mapping"),
        ],
    )
    def test_wrong_metadata(self, change: dict[str, Any], message: str, tmp_path: Path) -> None:
        path = tmp_path / "trace.npz"
        small_trace().save(path)
        with np.load(path) as stored:
            metadata, records = json.loads(str(stored["metadata"])), stored["records"]
        metadata.update(change)
        if change == {"losses": {}}:
            del metadata["losses"]
        np.savez(path, metadata=np.array(json.dumps(metadata)), records=records)
        with pytest.raises(TraceFormatError, match=message):
            Trace.load(path)

    @pytest.mark.parametrize(
        ("records", "message"),
        [
            (np.zeros(2), "not a structured numpy array"),
            (np.zeros((2, 1), [("ts_ns", "u8")]), r"shape \(2, 1\)"),
            (np.zeros(2, [("pid", "u8")]), "no field `ts_ns`"),
            (np.array([{}, {}], dtype=object), "Object arrays cannot be loaded"),
            (np.zeros(2, [("ts_ns", "u8"), ("x", object)]), "Object arrays cannot be loaded"),
        ],
    )
    def test_wrong_records(self, records: Any, message: str, tmp_path: Path) -> None:
        path = tmp_path / "trace.npz"
        small_trace().save(path)
        with np.load(path) as stored:
            metadata = stored["metadata"]
        np.savez(path, metadata=metadata, records=records)
        with pytest.raises(TraceFormatError, match=message):
            Trace.load(path)

    def test_pickles_are_never_run(self, tmp_path: Path) -> None:
        marker, path = tmp_path / "marker", tmp_path / "trace.npz"

        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (marker,)

        np.savez(path, metadata=np.array([Evil()], dtype=object), allow_pickle=True)
        with pytest.raises(TraceFormatError):
            Trace.load(path)
        assert not marker.exists()

    @pytest.mark.parametrize("contents", [b"root:x:0:0:root:/root:/bin/bash\n", pickle.dumps({}), b"", b"P"])
    def test_files_of_others_are_named_as_such(self, contents: bytes, tmp_path: Path) -> None:
        path = tmp_path / "passwd"
        path.write_bytes(contents)
        with pytest.raises(TraceFormatError, match=r"^read trace `.*/passwd`: it is no \.npz file$"):
            Trace.load(path)

    def test_declared_sizes_are_checked_before_memory_is_taken(self, tmp_path: Path) -> None:
        path = tmp_path / "trace.npz"
        header = b"{'descr': [('ts_ns', '<u8')], 'fortran_order': False, 'shape': (1000000000000,), }\n"
        small_trace().save(path)
        with np.load(path) as stored:
            metadata = stored["metadata"]
        np.savez(path, metadata=metadata)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("records.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        with pytest.raises(TraceFormatError, match=r"`records.npy` declares 8000000000000 bytes and holds 0"):
            Trace.load(path)

    def test_parquet_of_something_else(self, tmp_path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "trace.parquet"
        parquet.write_table(pa.table({"a": [1]}), path)
        with pytest.raises(TraceFormatError, match="a Parquet file of something else"):
            Trace.load(path)

    @pytest.mark.parametrize(
        ("column", "values", "message"),
        [
            ("pid", [1, None], "has nulls"),
            ("pid", [1.5, 2], "is of dtype float64, not int32"),
            ("comm", ["a" * 17, "b"], "longer than 16 bytes"),
            ("address", [[1, 2, 3, 4], [1]], "lists of other lengths"),
            (None, [], "its columns are not those of the records"),
        ],
    )
    def test_parquet_with_other_columns(
        self, column: str | None, values: list[Any], message: str, tmp_path: Path
    ) -> None:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "trace.parquet"
        small_trace().save(path)
        table = parquet.read_table(path)
        if column is None:
            changed = table.drop_columns(["pid"])
        else:
            changed = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
        parquet.write_table(changed, path)
        with pytest.raises(TraceFormatError, match=message):
            Trace.load(path)

    def test_parquet_that_declares_too_much(self, tmp_path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "trace.parquet"
        Trace(records=np.zeros(1, [("ts_ns", "u8")]), target="a:b").save(path)
        metadata = parquet.read_schema(path).metadata
        bomb = pa.table({"ts_ns": pa.repeat(pa.scalar(0, pa.uint64()), 20_000_000)}).replace_schema_metadata(metadata)
        parquet.write_table(bomb, path)
        with pytest.raises(TraceFormatError, match=r"160000000 bytes declared, but only \d+ stored"):
            Trace.load(path)


class TestSaving:
    """Files are written whole or not at all."""

    def test_failed_save_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "trace.npz"
        small_trace().save(path)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez_compressed", full)
        with pytest.raises(OSError, match="No space"):
            small_trace().head(1).save(path)
        assert [file.name for file in tmp_path.iterdir()] == ["trace.npz"]
        assert len(Trace.load(path)) == 2

    def test_parquet_without_pyarrow_says_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        path = tmp_path / "trace.parquet"
        with pytest.raises(ImportError, match=r"save trace as Parquet: .*\(pip install pyarrow\)"):
            small_trace().save(path)
        path.touch()
        with pytest.raises(ImportError, match=r"load trace as Parquet: .*\(pip install pyarrow\)"):
            Trace.load(path)
