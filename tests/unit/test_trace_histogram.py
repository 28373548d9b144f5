"""Latencies of a trace counted as the kernel does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrace.histogram import SLOTS
from rtrace.trace import FieldFacts, Trace
from tests.unit.traces import STARTED, block_trace, latency_trace


class TestHistogram:
    """Counting latencies as the kernel does."""

    @given(
        latencies=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 64).map(lambda bit: (1 << bit) - 1)),
        unit=st.sampled_from(["ns", "us", "ms", "s"]),
        data=st.data(),
    )
    def test_against_one_at_a_time(self, latencies: list[int], unit: Any, data: st.DataObject) -> None:
        pids = data.draw(st.lists(st.integers(0, 5), min_size=len(latencies), max_size=len(latencies)))
        most = data.draw(st.integers(1, 8))
        trace = latency_trace(latencies, pids, losses={"events_not_stored": 2})
        divisor = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}[unit]

        def expected(values: list[int]) -> list[int]:
            slots = Counter(max(0, (value // divisor).bit_length() - 1) for value in values)
            return [slots[slot] for slot in range(SLOTS)]

        hist = trace.histogram(unit=unit)
        assert hist.counts.tolist() == expected(latencies)
        assert hist.sum_ns == sum(latencies)
        assert hist.total == len(latencies)
        assert hist.lost == 2
        by_pid = {pid: [value for value, of in zip(latencies, pids, strict=True) if of == pid] for pid in set(pids)}
        split = trace.histogram(by="pid", unit=unit, max_groups=most)
        assert split.counts.tolist() == expected(latencies)
        assert len(split.groups) == (len(by_pid) if len(by_pid) <= most else most + 1)
        for key, group in split.groups.items():
            if key != "(others)":
                assert group.counts.tolist() == expected(by_pid[key])
                assert group.sum_ns == sum(by_pid[key])
        assert {key: group.total for key, group in trace.histogram(by="comm").groups.items()} == {
            f"p{pid}": len(values) for pid, values in by_pid.items()
        }

    def test_facts(self) -> None:
        trace = block_trace(
            options={"pid": 7}, fields={"latency_ns": FieldFacts(unit="ns", description="issue to done")}
        )
        hist = trace.histogram()
        assert hist.target == trace.target
        assert (hist.tool, hist.mechanism, hist.boundary) == ("disksnoop", "tracepoint", "issue to done")
        assert (hist.host, hist.kernel, hist.started, hist.duration) == ("lab1", "6.12.0+", STARTED, 2.0)
        assert hist.options == {"pid": 7}
        assert hist.counts.nonzero()[0].tolist() == [0, 1, 11]

    def test_groups_by_name(self) -> None:
        assert set(block_trace().histogram(by="cmd_flags").groups) == {"SYNC|META", "0x10", "0"}
        assert set(block_trace().histogram(by="rwbs").groups) == {"WS", "R"}
        assert set(block_trace().histogram(by="dev").groups) == {"8,0", "8,16"}
        assert block_trace([]).histogram(by="pid").groups == {}

    def test_a_thread_called_as_the_others(self) -> None:
        comms = [b"(others)"] * 3 + [b"a", b"b", b"c"]
        records = np.array([(1, comm, 1) for comm in comms], [("ts_ns", "u8"), ("comm", "S16"), ("latency_ns", "u8")])
        groups = Trace(records=records, target="a:b").histogram(by="comm", max_groups=1).groups
        assert {key: group.total for key, group in groups.items()} == {"(others)": 6}

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            ({"column": "pid"}, "`pid` is not in ns but in no unit"),
            ({"column": "bytes"}, "not in ns but in bytes"),
            ({"column": "comm"}, "not one of integers"),
            ({"unit": "h"}, "'h' is not one of ns, us, ms, s"),
            ({"unit": {}}, "{} is not one of ns, us, ms, s"),
            ({"by": "pid", "max_groups": 0}, "max_groups must be at least 1, not 0"),
            ({"max_groups": -1}, "max_groups must be at least 1, not -1"),
        ],
    )
    def test_refused(self, call: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            block_trace().histogram(**call)

    @pytest.mark.parametrize("call", [{"max_groups": None}, {"max_groups": 1.5}, {"by": 1}, {"column": ["pid"]}])
    def test_refused_types(self, call: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=f"{next(iter(call))} must be a"):
            block_trace().histogram(**call)

    def test_comms_that_are_no_text_are_told_apart(self) -> None:
        comms = [b"\xfe", b"\xff", b"\xff", b"\\xff", b"dd", b"\xc3\xa9"]
        records = np.array([(1, comm, 1) for comm in comms], [("ts_ns", "u8"), ("comm", "S16"), ("latency_ns", "u8")])
        groups = Trace(records=records, target="a:b").histogram(by="comm").groups
        assert {key: group.total for key, group in groups.items()} == {
            "\\xfe": 1, "\\xff": 2, "\\\\xff": 1, "dd": 1, "é": 1,
        }  # fmt: skip

    def test_refused_columns(self) -> None:
        with pytest.raises(KeyError, match="no column `nope`"):
            block_trace().histogram("nope")
        records = np.array([(1, -5, 0.5)], [("ts_ns", "u8"), ("delta_ns", "i8"), ("ratio", "f8")])
        trace = Trace(records=records, target="a:b")
        with pytest.raises(ValueError, match="negative values"):
            trace.histogram("delta_ns")
        with pytest.raises(ValueError, match="cannot split by column `ratio`"):
            trace.histogram("ts_ns", by="ratio")
