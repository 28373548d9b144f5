"""A trace in the hands of other libraries: Arrow, polars, pandas, duckdb, comma-separated values."""

from __future__ import annotations

import csv
import gc
import io
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrace import trace_arrow
from rtrace.trace import Trace
from tests.unit.random_records import records

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "?", "S1", "S5", "S16", "(3,)u1", "(2,)i8"]
PROVIDERS = ["nanoarrow", "pyarrow"]


def traces() -> st.SearchStrategy[Trace]:
    """Make traces of any layout, their bytes at random."""
    return records(KINDS, most=9).map(lambda made: Trace(records=made, target="a:b"))


def sample() -> Trace:
    dtype = [("ts_ns", "u8"), ("comm", "S16"), ("ok", "?"), ("address", "u1", (2,))]
    rows = [(1, b"dd", True, [1, 2]), (2, b"\xff\0x", False, [3, 4]), (3, "é,\n".encode(), True, [5, 6])]
    return Trace(records=np.array(rows, dtype), target="a:b")


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the library that makes the capsules; the others are hidden from it."""
    name: str = request.param
    pytest.importorskip(name)
    if name == "pyarrow":
        monkeypatch.setitem(sys.modules, "nanoarrow", None)
    return name


@pytest.mark.usefixtures("provider")
def test_pyarrow_reads_any_trace() -> None:
    pa = pytest.importorskip("pyarrow")

    @settings(deadline=None)
    @given(trace=traces(), batch=st.integers(1, 10))
    def check(trace: Trace, batch: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trace_arrow, "_BATCH", batch)
            table = pa.table(trace)
            assert pa.schema(trace) == table.schema
            assert trace.to_arrow().to_pylist() == table.to_pylist() == trace.to_dicts()
        table.validate(full=True)

    check()


@pytest.mark.usefixtures("provider")
def test_polars_pandas_and_duckdb_take_a_trace() -> None:
    trace = sample()
    pl = pytest.importorskip("polars")
    assert pl.DataFrame(trace).to_dicts() == trace.to_dicts()
    assert pl.DataFrame(trace).equals(trace.to_polars())
    pd = pytest.importorskip("pandas", minversion="3")
    pytest.importorskip("pyarrow")
    assert pd.DataFrame.from_arrow(trace[:1])["comm"].tolist() == ["dd"]
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        connection.register("trace", pl.DataFrame(trace))
        assert connection.sql("select count(*), max(ts_ns) from trace where ok").fetchall() == [(2, 3)]


@pytest.mark.usefixtures("provider")
def test_duckdb_finds_a_trace_by_its_variable() -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    trace = sample()
    assert len(trace) == 3
    assert duckdb.sql("select comm, ts_ns from trace order by ts_ns desc").fetchall()[0] == ("é,\n", 3)


@pytest.mark.usefixtures("provider")
def test_exports_neither_leak_nor_outlive_their_memory() -> None:
    pa = pytest.importorskip("pyarrow")
    records = np.zeros(1000, [("ts_ns", "u8")])
    records["ts_ns"] = np.arange(1000)
    gone = weakref.ref(records)
    trace = Trace(records=records, target="a:b")
    for _ in range(50):
        # Not consumed, consumed and dropped, and cut short.
        trace.__arrow_c_stream__()
        trace.__arrow_c_schema__()
        pa.table(trace)
        pa.RecordBatchReader.from_stream(trace).close()
    column = pa.table(trace)["ts_ns"]
    del trace, records
    gc.collect()
    assert sum(column.to_pylist()) == 499_500
    assert gone() is not None, "a single field is not copied"
    del column
    gc.collect()
    assert gone() is None


@pytest.mark.usefixtures("provider")
def test_a_capsule_may_be_dropped_while_an_exception_is_on_its_way() -> None:
    """What callbacks written in Python do not survive."""
    trace = sample()

    def boom() -> object:
        msg = "boom"
        raise KeyError(msg)

    for _ in range(20):
        with pytest.raises(KeyError, match="boom"):
            str.format("", trace.__arrow_c_stream__(), trace.__arrow_c_schema__(), boom())


@pytest.mark.usefixtures("provider")
def test_strided_columns_and_slices_are_copied_right() -> None:
    pa = pytest.importorskip("pyarrow")
    trace = sample()
    assert pa.table(trace[::-2]).to_pylist() == trace[::-2].to_dicts()
    single = Trace(records=np.arange(9, dtype="u8").view([("ts_ns", "u8")]), target="a:b")
    assert pa.table(single[1::3]).to_pylist() == single[1::3].to_dicts()


def test_types() -> None:
    pytest.importorskip("pyarrow")
    types = [str(kind) for kind in sample().to_arrow().schema.types]
    assert types == ["uint64", "string", "bool", "fixed_size_list<item: uint8>[2]"]
    assert [str(kind) for kind in sample()[:0].to_arrow().schema.types] == types


@settings(deadline=None)
@given(trace=traces())
def test_frames(trace: Trace) -> None:
    pd = pytest.importorskip("pandas")
    frame = trace.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == trace.to_dicts()
    pl = pytest.importorskip("polars")
    table = trace.to_polars()
    assert isinstance(table, pl.DataFrame)
    assert table.to_dicts() == trace.to_dicts()


def test_frame_types() -> None:
    pytest.importorskip("pandas")
    frame = sample().to_pandas()
    assert list(frame.columns) == ["ts_ns", "comm", "ok", "address"]
    assert [str(frame[name].dtype) for name in ("ts_ns", "ok")] == ["uint64", "bool"]
    assert frame["comm"].tolist() == ["dd", "\ufffd", "é,\n"]
    assert len(sample()[:0].to_pandas()) == 0


@pytest.mark.parametrize("missing", [(), ("nanoarrow", "pyarrow")])
def test_polars_types(missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    pl = pytest.importorskip("polars")
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    assert sample().to_polars().to_dicts() == sample().to_dicts()
    kinds = [pl.UInt64, pl.String, pl.Boolean, pl.Array(pl.UInt8, 2)]
    assert sample().to_polars().dtypes == kinds
    assert sample()[:0].to_polars().dtypes == kinds


def test_csv(tmp_path: Path) -> None:
    text = io.StringIO()
    sample().to_csv(text)
    assert text.getvalue() == (
        '"ts_ns","comm","ok","address"\n1,"dd",True,"1 2"\n2,"\ufffd",False,"3 4"\n3,"é,\n",True,"5 6"\n'
    )
    path = tmp_path / "trace.csv"
    sample().to_csv(path)
    assert path.read_bytes() == text.getvalue().encode()
    assert [file.name for file in tmp_path.iterdir()] == ["trace.csv"]


@given(trace=traces())
def test_csv_of_any_trace(trace: Trace) -> None:
    text = io.StringIO()
    trace.to_csv(text)
    rows = list(csv.reader(io.StringIO(text.getvalue(), newline="")))
    assert rows[0] == list(trace.fields)
    assert len(rows) == len(trace) + 1
    expected = [
        [" ".join(map(str, cell)) if isinstance(cell, list) else str(cell) for cell in row.values()]
        for row in trace.to_dicts()
    ]
    assert rows[1:] == expected


@pytest.mark.parametrize(
    ("call", "missing", "message"),
    [
        ("to_pandas", ["pandas"], r"data frame: pandas is not installed \(pip install pandas\)"),
        ("to_polars", ["polars"], r"data frame: polars is not installed \(pip install polars\)"),
        ("to_arrow", ["pyarrow"], r"to Arrow: pyarrow is not installed \(pip install pyarrow\)"),
        ("__arrow_c_stream__", ["nanoarrow", "pyarrow"], r"neither nanoarrow nor pyarrow .* \(pip install nanoarrow\)"),
        ("__arrow_c_schema__", ["nanoarrow", "pyarrow"], r"neither nanoarrow nor pyarrow .* \(pip install nanoarrow\)"),
        ("plot", ["matplotlib.pyplot"], r"matplotlib is not installed \(pip install matplotlib\)"),
    ],
)
def test_what_is_missing_is_named(call: str, missing: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=message):
        getattr(sample(), call)()


@pytest.mark.parametrize("module", ["pandas", "polars", "pyarrow", "nanoarrow", "matplotlib", "rtrace._rtrace"])
def test_a_trace_needs_nothing_but_numpy(module: str) -> None:
    code = (
        "import sys, numpy as np; from rtrace.trace import Trace\n"
        "trace = Trace(records=np.zeros(2, [('ts_ns', 'u8'), ('latency_ns', 'u8')]), target='a:b')\n"
        "str(trace + trace), trace._repr_html_(), trace.histogram(), trace.to_dicts()\n"
        f"print({module!r} in sys.modules)"
    )
    shown: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
