"""How a trace is shown: exact text, HTML that nothing gets out of, plots."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrace.trace import FieldFacts, Trace
from tests.unit.html_page import Page

OFFSET = 1_735_000_000_000_000_000
DTYPE = np.dtype(
    [("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("cpu", "u4"), ("comm", "S16"), ("dev", "u4"), ("sector", "u8"),
     ("bytes", "u4"), ("rwbs", "S8"), ("cmd_flags", "u4"), ("latency_ns", "u8")]
)  # fmt: skip
ROWS = [
    (5_000_000_000, 7, 7, 0, b"dd", 0x800000, 2048, 4096, b"WS", 9, 1_999),
    (5_000_250_000, 9, 10, 1, b"kworker/0:1", 0x800010, 4096, 512, b"R", 0x10, 4_000_000),
    (5_900_000_001, 7, 7, 1, b"dd", 0x800000, 2056, 4096, b"WS", 0, 2_000),
]
FIELDS = {"dev": FieldFacts(format="dev"), "cmd_flags": FieldFacts(flags={1: "SYNC", 8: "META"})}


def block_trace(rows: list[tuple[Any, ...]] | None = None, **facts: Any) -> Trace:
    records = np.array(ROWS if rows is None else rows, DTYPE)
    given = {"records": records, "target": "issue -> complete", "duration": 2.0, "clock_offset_ns": OFFSET, **facts}
    return Trace(**{"fields": FIELDS, **given})


def hostile(comm: bytes, **facts: Any) -> Trace:
    records = np.array([(1, comm, 5)], [("ts_ns", "u8"), ("comm", "S16"), ("latency_ns", "u8")])
    return Trace(**{"records": records, "target": "a:b", **facts})


class TestText:
    """The table."""

    def test_whole(self) -> None:
        trace = block_trace(losses={"events_not_stored": 3, "starts_not_stored": 1})
        assert str(trace) == (
            "time (s)  pid  comm          dev  sector  bytes  rwbs  cmd_flags  latency (us)\n"
            "0.000000    7  dd            8,0    2048   4096  WS    SYNC|META         1.999\n"
            "0.000250    9  kworker/0:1  8,16    4096    512  R     0x10           4000.000\n"
            "0.900000    7  dd            8,0    2056   4096  WS    0                 2.000\n"
            "(not shown: tid, cpu)\n"
            "time 0 is 2024-12-24 00:26:45.000000 UTC\n"
            "lost: 4 events (3 events not stored, 1 start not stored)"
        )

    def test_part(self) -> None:
        file = io.StringIO()
        block_trace(clock_offset_ns=0, losses={"a": 1}).print(1, file, columns=["ts_ns", "tid", "cpu"])
        assert file.getvalue() == "time (s)  tid  cpu\n0.000000    7    0\n(2 more events)\nlost: 1 event (1 a)\n"
        file = io.StringIO()
        block_trace(losses={"a": 1}).print(2, file, columns=["comm"], footer=False)
        assert file.getvalue() == "comm\ndd\nkworker/0:1\n"

    def test_goes_to_standard_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        block_trace().print(None)
        assert capsys.readouterr().out == str(block_trace()) + "\n"

    def test_of_one_tracepoint(self) -> None:
        dtype = [("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("cpu", "u4"), ("comm", "S16"), ("got_bits", "i4")]
        records = np.array([(22592556392825000, 14228, 14228, 0, b"dd", 8192)], dtype)
        assert str(Trace(records=records, target="random:urandom_read")) == (
            "time (s)    pid    tid  cpu  comm  got_bits\n"
            "0.000000  14228  14228    0  dd        8192"
        )  # fmt: skip

    def test_empty(self) -> None:
        assert str(block_trace([])) == "no events were recorded"
        assert str(block_trace([], losses={"events_not_stored": 1})) == (
            "no events were recorded\nlost: 1 event (1 event not stored)"
        )

    def test_only_rows_asked_for_are_there(self) -> None:
        trace = block_trace(ROWS * 10)
        assert len(trace.head(2).names("pid")) == 2
        assert str(trace).count("kworker") == 7
        assert "(10 more events)" in str(trace)

    @given(comm=st.binary(max_size=16), text=st.binary(max_size=60))
    def test_hostile_names_stay_in_their_cells(self, comm: bytes, text: bytes) -> None:
        records = np.array([(1, comm, text)], [("ts_ns", "u8"), ("comm", "S16"), ("path", "S60")])
        shown = str(Trace(records=records, target="a:b", fields={"comm": FieldFacts(unit="x")}))
        assert all(char.isprintable() or char == "\n" for char in shown)
        assert len(shown.splitlines()) <= 3
        assert all(len(line) < 80 for line in shown.splitlines())

    def test_escapes(self) -> None:
        assert "\\x1b[31mx\\n\ufffd" in str(hostile(b"\x1b[31mx\n\xff"))
        assert repr(hostile(b"", target="a\n\x1b")) == r"<Trace a\n\x1b events=1 fields=3 duration=0 s lost=0>"

    def test_units(self) -> None:
        dtype = [("ts_ns", "u8"), ("delta_ns", "i8"), ("sectors", "u4"), ("queue", "u4")]
        facts = {"sectors": FieldFacts(unit="sectors"), "queue": FieldFacts(unit="requests")}
        records = np.array([(9, -1_500, 1, 1), (8, 5, 2, 2)], dtype)
        assert str(Trace(records=records, target="a:b", fields=facts)).splitlines() == [
            "time (s)  delta (us)  sectors  queue (requests)",
            "0.000000      -1.500        1                 1",
            "0.000000       0.005        2                 2",
        ]

    def test_name(self) -> None:
        assert repr(block_trace()) == "<Trace issue -> complete events=3 fields=11 duration=2 s lost=0>"

    def test_refused(self) -> None:
        with pytest.raises(ValueError, match="n: -1 is negative"):
            block_trace().print(-1)
        with pytest.raises(KeyError, match="no column `nope`"):
            block_trace().print(columns=["nope"])
        with pytest.raises(TypeError, match="columns must be a name or a sequence of names, not 5"):
            block_trace().print(columns=5)  # type: ignore[arg-type]

    def test_one_column(self) -> None:
        one, same = io.StringIO(), io.StringIO()
        block_trace().print(file=one, columns="comm")
        block_trace().print(file=same, columns=["comm"])
        assert one.getvalue() == same.getvalue()


class TestHtml:
    """The table in a notebook."""

    def test_whole(self) -> None:
        trace = block_trace(losses={"events_not_stored": 3}, lost_per_cpu=[0, 3], observed={"unmatched_ends": 2})
        html = trace._repr_html_()
        page = Page(html)
        assert "issue -> complete: 3 events in 2 s, 1.5 per second" in page.text
        assert '<div class="lost" role="alert">lost: 3 events (3 events not stored)</div>' in html
        assert "time 0 is 2024-12-24" in page.text
        assert "CPU 1: 3" in page.text
        assert "unmatched ends" in page.text
        assert re.findall(r'<td class="number">([\d.]+)</td></tr>', html) == ["1.999", "4000.000", "2.000"]

    def test_latencies_have_percentiles_and_bars(self) -> None:
        html = block_trace()._repr_html_()
        assert "latency: mean" in html
        assert "<title>p90, p99: 2.05 to 4.1 ms</title>" in html
        assert "<svg" not in Trace(records=np.zeros(1, [("ts_ns", "u8")]), target="a:b")._repr_html_()

    def test_first_and_last(self) -> None:
        rows = [(place * 10**9, *ROWS[0][1:]) for place in range(100)]
        html = block_trace(rows)._repr_html_()
        assert ">… 85 more …<" in html
        assert all(f">{second}.000000<" in html for second in (0, 9, 95, 99))
        assert not any(f">{second}.000000<" in html for second in (10, 94))
        assert "more …" not in Page(block_trace(rows[:16])._repr_html_()).text

    def test_without_html_the_table_is_shown(self) -> None:
        assert block_trace()._repr_mimebundle_() == {"text/plain": str(block_trace())}

    def test_empty(self) -> None:
        assert "No events were recorded." in Page(block_trace([])._repr_html_()).text
        assert 'role="alert"' not in block_trace([])._repr_html_()

    @given(text=st.text(max_size=12).map(lambda text: f"<script>\"'&{text}"))
    def test_nothing_gets_out(self, text: str) -> None:
        trace = hostile(
            text.encode()[:16], target=text, tool=text, host=text, kernel=text, losses={text: 1}, observed={text: 2},
            options={text: text}, fields={"comm": FieldFacts(unit=text, description=text)},
        )  # fmt: skip
        page = Page(trace._repr_html_())
        assert "script" not in page.tags


class TestPlot:
    """Figures."""

    @pytest.fixture(autouse=True)
    def _no_window(self) -> Any:
        matplotlib = pytest.importorskip("matplotlib")
        matplotlib.use("Agg")
        yield
        matplotlib.pyplot.close("all")

    def test_latencies(self) -> None:
        ax: Any = block_trace(losses={"events_not_stored": 1}).plot()
        assert ax.get_title() == "issue -> complete: 3 events\nlost: 1 event (1 event not stored)"
        assert ax.get_xlabel() == "time (s): 0 is 2024-12-24 00:26:45.000000 UTC"
        (points,) = ax.lines
        assert points.get_ydata().tolist() == np.log2([1_999, 4_000_000, 2_000]).tolist()

    def test_heat_map(self) -> None:
        trace = block_trace(ROWS * 400)
        ax: Any = trace.plot()
        (mesh,) = ax.collections
        assert mesh.get_array().sum() == len(trace)
        ax.figure.savefig(io.BytesIO())

    def test_rate(self) -> None:
        import matplotlib.pyplot as plt

        records = np.zeros(500, [("ts_ns", "u8")])
        records["ts_ns"] = np.arange(500) * 10**7
        mine: Any = plt.subplots()[1]
        ax = Trace(records=records, target="a:$b$").plot(mine)
        assert ax is mine
        assert ax.get_ylabel() == "events per second"
        assert ax.get_xlabel() == "time (s)"
        values, edges, _ = ax.patches[0].get_data()
        assert round(float((values * np.diff(edges)).sum())) == 500
        ax.figure.savefig(io.BytesIO())

    def test_kind(self) -> None:
        ax: Any = block_trace().plot(kind="rate")
        assert ax.get_ylabel() == "events per second"
        assert block_trace().plot(kind="latency").get_ylabel() == "latency (ns to s, log2 scale)"
        without = Trace(records=np.zeros(1, [("ts_ns", "u8")]), target="a:b")
        with pytest.raises(ValueError, match="no column `latency_ns`"):
            without.plot(kind="latency")
        with pytest.raises(ValueError, match="kind is 'rate' or 'latency'"):
            without.plot(kind="pie")  # type: ignore[arg-type]

    @settings(deadline=None, max_examples=20)
    @given(rows=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=3))
    def test_any_values(self, rows: list[tuple[int, int]]) -> None:
        import matplotlib.pyplot as plt

        records = np.array(rows, [("ts_ns", "u8"), ("latency_ns", "i8")])
        ax: Any = Trace(records=records, target="a:b").plot()
        ax.figure.savefig(io.BytesIO(), dpi=20)
        plt.close("all")

    def test_empty(self) -> None:
        (text,) = block_trace([]).plot().texts
        assert text.get_text() == "no events were recorded"
