"""The trace itself: its facts, selections and names."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrace.trace import FieldFacts, Trace
from tests.unit.traces import DTYPE, FIELDS, OFFSET, ROWS, STARTED, block_trace


class TestFacts:
    """What it is made of."""

    def test_kept(self) -> None:
        trace = block_trace(losses={"events_not_stored": 3, "events_too_long": 1}, lost_per_cpu=np.array([1, 2]))
        assert len(trace) == 3
        assert trace.lost == 4
        assert trace.lost_per_cpu == (1, 2)
        assert trace.events_per_second == 1.5
        assert list(trace.fields) == list(DTYPE.names or ())
        assert trace.fields["latency_ns"].unit == trace.fields["ts_ns"].unit == "ns"
        assert trace.fields["dev"].description == "block device"
        assert trace.times.dtype == np.dtype("datetime64[ns]")
        assert trace.times[1] - trace.times[0] == np.timedelta64(250_000, "ns")
        assert trace.times.astype(np.int64).tolist() == [row[0] + OFFSET for row in ROWS]

    def test_empty(self) -> None:
        trace = Trace(records=np.zeros(0, [("ts_ns", "u8")]), target="a:b")
        assert not trace
        assert math.isnan(trace.events_per_second)
        assert trace.times.shape == (0,)
        assert not trace.sorted()
        assert trace.to_dicts() == []
        assert trace + trace == trace

    def test_immutable(self) -> None:
        records = np.array(ROWS, DTYPE)
        trace = Trace(records=records, target="a:b")
        assert np.shares_memory(trace.records, records)
        with pytest.raises(ValueError, match="read-only"):
            trace.records["pid"][0] = 1
        with pytest.raises(ValueError, match="read-only"):
            trace["pid"][0] = 1
        with pytest.raises(FrozenInstanceError):
            trace.target = "x"  # type: ignore[misc]
        with pytest.raises(TypeError):
            trace.losses["x"] = 1  # type: ignore[index]
        with pytest.raises(TypeError):
            trace.fields["x"] = FieldFacts()  # type: ignore[index]
        assert records.flags.writeable

    def test_times_are_kept_as_utc(self) -> None:
        zone = timezone(timedelta(hours=2))
        assert block_trace(started=STARTED.astimezone(zone)).started == STARTED
        assert block_trace(clock_offset_ns=-5_000_000_000).times.astype(int)[0] == 0

    @pytest.mark.parametrize(
        ("facts", "kind", "message"),
        [
            ({"records": [1]}, TypeError, "not a structured numpy array"),
            ({"records": np.zeros(3)}, TypeError, "not a structured numpy array"),
            ({"records": np.zeros((1, 2), DTYPE)}, ValueError, r"shape \(1, 2\)"),
            ({"records": np.zeros(1, [("pid", "u4")]), "fields": {}}, ValueError, "no field `ts_ns`"),
            ({"records": np.zeros(1, [("ts_ns", "i8")]), "fields": {}}, ValueError, "no field `ts_ns`"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "O")])}, TypeError, "field 'x': dtype object"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "U4")])}, TypeError, "field 'x': dtype <U4"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "f2")])}, TypeError, "field 'x': dtype float16"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "V4")])}, TypeError, "field 'x'"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "S4", (2,))])}, TypeError, "one row of numbers"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "u1", (2, 2))])}, TypeError, "one row of numbers"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("x", "S0")])}, ValueError, "no bytes"),
            ({"records": np.zeros(1, [("ts_ns", "u8"), ("é", "u1")])}, ValueError, "not printable ASCII"),
            ({"target": b"x"}, TypeError, "target"),
            ({"started": datetime(2025, 1, 1)}, ValueError, "no time zone"),  # noqa: DTZ001  # what is refused
            ({"duration": -1}, ValueError, "not a duration"),
            ({"duration": "1"}, TypeError, "duration: '1' is not a duration"),
            ({"clock_offset_ns": 1.5}, TypeError, "clock_offset_ns: 1.5 is not an integer"),
            ({"clock_offset_ns": 1 << 63}, ValueError, "64 bits"),
            ({"losses": {"x": -1}}, ValueError, "negative"),
            ({"lost_per_cpu": [1]}, ValueError, "more than the 0 of losses"),
            ({"lost_per_cpu": 1}, TypeError, "lost_per_cpu: 1 is not a sequence"),
            ({"losses": 1}, TypeError, "losses: 1 is not a mapping"),
            ({"observed": {"x": 1.5}}, TypeError, "x: 1.5 is not an integer"),
            ({"options": 1}, TypeError, "options: 1 is not a mapping"),
            ({"fields": 1}, TypeError, "fields: 1 is not a mapping"),
            ({"options": {"x": object()}}, TypeError, "does not fit JSON"),
            ({"fields": {"nope": FieldFacts()}}, ValueError, "no column `nope`"),
            ({"fields": {"pid": {}}}, TypeError, "not a FieldFacts"),
        ],
    )
    def test_refused(self, facts: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            block_trace(**facts)

    def test_as_dict_of_dataclasses(self) -> None:
        found = asdict(block_trace(losses={"x": 1}))
        assert (found["losses"], found["fields"]["ts_ns"]["unit"]) == ({"x": 1}, "ns")
        assert found["records"].tolist() == block_trace().records.tolist()

    def test_other_layouts_become_plain(self) -> None:
        big = np.array(ROWS, DTYPE.newbyteorder(">"))
        assert block_trace(records=big) == block_trace()
        overlapping = np.dtype({"names": ["ts_ns", "low"], "formats": ["u8", "u4"], "offsets": [0, 0]})
        trace = Trace(records=np.array([1, 2], "u8").view(overlapping), target="a:b")
        assert trace.to_dicts() == [{"ts_ns": 1, "low": 1}, {"ts_ns": 2, "low": 2}]
        backwards = np.dtype({"names": ["pid", "ts_ns"], "formats": ["u4", "u8"], "offsets": [8, 0]})
        assert list(Trace(records=np.zeros(1, backwards), target="a:b").records.dtype.fields or ()) == ["pid", "ts_ns"]

    def test_equal_copied_and_pickled(self) -> None:
        trace = block_trace(options={"pid": [1, 2]}, observed={"filtered": 4})
        assert pickle.loads(pickle.dumps(trace)) == copy.deepcopy(trace) == replace(trace) == trace  # noqa: S301
        assert trace != block_trace()
        assert block_trace(ROWS[:2]) != block_trace()
        assert trace != "trace"
        with pytest.raises(TypeError, match="unhashable"):
            hash(trace)


class TestSelections:
    """Columns and parts."""

    def test_columns(self) -> None:
        trace = block_trace()
        assert trace["pid"].tolist() == [7, 9, 7]
        assert np.shares_memory(trace["pid"], trace.records)
        with pytest.raises(KeyError, match="no column `nope`; there are ts_ns, pid"):
            trace["nope"]

    def test_parts(self) -> None:
        trace = block_trace(losses={"events_not_stored": 1})
        assert trace[1:]["pid"].tolist() == [9, 7]
        assert trace[trace["pid"] == 7] == trace[[0, 2]] == trace[np.array([0, 2])]
        assert trace[[0, 2]].lost == 1
        assert len(trace[[]]) == 0
        assert trace.head(2) == trace[:2]
        assert np.shares_memory(trace[1:].records, trace.records)

    def test_sorted_is_stable(self) -> None:
        rows = [(2, *ROWS[0][1:]), (1, *ROWS[1][1:]), (2, *ROWS[2][1:])]
        assert block_trace(rows).sorted() == block_trace([rows[1], rows[0], rows[2]])

    @pytest.mark.parametrize("key", [0, None, 1.5, np.zeros((1, 1), int), ["pid"], np.zeros(3), (slice(1),)])
    def test_refused(self, key: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            block_trace()[key]

    def test_out_of_bounds_and_iteration(self) -> None:
        with pytest.raises(IndexError):
            block_trace()[[3]]
        with pytest.raises(IndexError):
            block_trace()[[True]]
        with pytest.raises(TypeError, match="not iterable"):
            iter(block_trace())  # type: ignore[call-overload]

    @given(mask=st.lists(st.booleans(), min_size=3, max_size=3), start=st.integers(-5, 5), step=st.integers(1, 3))
    def test_as_lists_do(self, mask: list[bool], start: int, step: int) -> None:
        trace, rows = block_trace(), block_trace().to_dicts()
        assert trace[np.array(mask)].to_dicts() == [row for row, kept in zip(rows, mask, strict=True) if kept]
        assert trace[mask] == trace[np.array(mask)]
        assert trace[start::step].to_dicts() == rows[start::step]
        assert trace[start::-step].to_dicts() == rows[start::-step]


class TestNames:
    """Values as people read them."""

    def test_columns(self) -> None:
        trace = block_trace()
        assert trace.names("cmd_flags").tolist() == ["SYNC|META", "0x10", "0"]
        assert trace.names("dev").tolist() == ["8,0", "8,16", "8,0"]
        assert trace.names("rwbs").tolist() == ["WS", "R", "WS"]
        assert trace.names("pid").tolist() == ["7", "9", "7"]
        assert len(trace[trace.names("rwbs") == "R"]) == 1
        assert trace[:0].names("cmd_flags").tolist() == trace[:0].names("comm").tolist() == []

    @pytest.mark.parametrize(
        ("facts", "value", "name"),
        [
            (FieldFacts(flags={3: "BOTH", 1: "A", 2: "B"}), 3, "BOTH"),
            (FieldFacts(flags={3: "BOTH", 1: "A", 2: "B"}), 2, "B"),
            (FieldFacts(flags={0: "none", 1: "A"}), 0, "none"),
            (FieldFacts(flags={0: "none", 1: "A"}), 1, "A"),
            (FieldFacts(flags={1: "A"}), 0, "0"),
            (FieldFacts(flags={1: "A"}), 5, "A|0x4"),
            (FieldFacts(symbols={1: "A", -11: "EAGAIN"}), -11, "EAGAIN"),
            (FieldFacts(symbols={1: "A"}), 3, "0x3"),
            (FieldFacts(symbols={1: "A"}), -3, "-3"),
            (FieldFacts(symbols={1: "A"}, format="dev"), 3, "0,3"),
            (FieldFacts(format="hex"), 255, "0xff"),
            (FieldFacts(format="oct"), 0o644, "0o644"),
            (FieldFacts(), -1, "-1"),
        ],
    )
    def test_values(self, facts: FieldFacts, value: int, name: str) -> None:
        assert facts.name_of(value) == name

    def test_other_kinds(self) -> None:
        dtype = [("ts_ns", "u8"), ("flag", "i4"), ("ok", "?"), ("ms", "f8"), ("address", "u1", (4,)), ("path", "S6")]
        records = np.array([(1, -(1 << 31), True, 0.5, [10, 0, 0, 1], b"a\0b\xff"),
                            (2, 1, False, 1, [0] * 4, b"\xc3\xa9\xff")], dtype)  # fmt: skip
        trace = Trace(records=records, target="a:b", fields={"flag": FieldFacts(flags={1 << 31: "TOP"})})
        assert trace.names("flag").tolist() == ["TOP", "0x1"]
        assert trace.names("ok").tolist() == ["True", "False"]
        assert trace.names("ms").tolist() == ["0.5", "1.0"]
        assert trace.names("address").tolist() == ["10 0 0 1", "0 0 0 0"]
        assert trace.names("path").tolist() == ["a", "é\ufffd"]

    @pytest.mark.parametrize(
        ("facts", "kind"),
        [
            ({"unit": 1}, TypeError),
            ({"format": "weird"}, ValueError),
            ({"flags": {"1": "A"}}, TypeError),
            ({"flags": {True: "A"}}, TypeError),
            ({"symbols": {1: b"A"}}, TypeError),
            ({"symbols": {1: "A"}, "flags": {1: "A"}}, ValueError),
        ],
    )
    def test_refused(self, facts: dict[str, Any], kind: type[Exception]) -> None:
        with pytest.raises(kind):
            FieldFacts(**facts)

    def test_field_facts_are_values(self) -> None:
        facts = FIELDS["cmd_flags"]
        assert copy.deepcopy(facts) == pickle.loads(pickle.dumps(facts)) == FieldFacts.from_dict(facts.to_dict())  # noqa: S301
        assert facts == copy.copy(facts)
        with pytest.raises(TypeError):
            facts.flags[4] = "X"  # type: ignore[index]

    @given(values=st.lists(st.binary(max_size=6), max_size=8))
    def test_strings_against_one_at_a_time(self, values: list[bytes]) -> None:
        records = np.zeros(len(values), [("ts_ns", "u8"), ("s", "S6")])
        records["s"] = values
        trace = Trace(records=records, target="a:b")
        expected = [value.split(b"\0")[0].decode(errors="replace") for value in values]
        assert trace.names("s").tolist() == expected
        assert [row["s"] for row in trace.to_dicts()] == expected
        assert [row["s"] for row in trace.to_dicts(decode=False)] == [value.rstrip(b"\0") for value in values]
