"""The trace itself: its facts, selections, sums, names and histograms."""

from __future__ import annotations

import copy
import math
import pickle
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrace.histogram import SLOTS
from rtrace.trace import FieldFacts, Trace

STARTED = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
OFFSET = 1_735_000_000_000_000_000
DTYPE = np.dtype(
    [
        ("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("cpu", "u4"), ("comm", "S16"), ("dev", "u4"), ("sector", "u8"),
        ("bytes", "u4"), ("rwbs", "S8"), ("cmd_flags", "u4"), ("latency_ns", "u8"),
    ]
)  # fmt: skip
FIELDS = {
    "dev": FieldFacts(format="dev", description="block device"),
    "bytes": FieldFacts(unit="bytes"),
    "cmd_flags": FieldFacts(flags={1: "SYNC", 8: "META"}),
}
FACTS: dict[str, Any] = {
    "target": "block:block_rq_issue -> block:block_rq_complete",
    "tool": "disksnoop",
    "host": "lab1",
    "kernel": "6.12.0+",
    "started": STARTED,
    "duration": 2.0,
    "clock_offset_ns": OFFSET,
}
ROWS = [
    (5_000_000_000, 7, 7, 0, b"dd", 0x800000, 2048, 4096, b"WS", 9, 1_999),
    (5_000_250_000, 9, 10, 1, b"kworker/0:1", 0x800010, 4096, 512, b"R", 0x10, 4_000_000),
    (5_900_000_001, 7, 7, 1, b"dd", 0x800000, 2056, 4096, b"WS", 0, 2_000),
]


def block_trace(rows: list[tuple[Any, ...]] | None = None, **facts: Any) -> Trace:
    """Return a trace as disksnoop makes it."""
    records = np.array(ROWS if rows is None else rows, DTYPE)
    return Trace(**{**FACTS, "records": records, "fields": FIELDS, **facts})


def latency_trace(latencies: list[int], pids: list[int] | None = None, **facts: Any) -> Trace:
    records = np.zeros(len(latencies), [("ts_ns", "u8"), ("pid", "u4"), ("comm", "S4"), ("latency_ns", "u8")])
    records["ts_ns"] = np.arange(len(latencies))
    records["latency_ns"] = latencies
    if pids is not None:
        records["pid"] = pids
        records["comm"] = [f"p{pid}".encode() for pid in pids]
    return Trace(**{**FACTS, "records": records, **facts})


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
            ({"clock_offset_ns": 1.5}, TypeError, "float"),
            ({"clock_offset_ns": 1 << 63}, ValueError, "64 bits"),
            ({"losses": {"x": -1}}, ValueError, "negative"),
            ({"lost_per_cpu": [1]}, ValueError, "more than the 0 of losses"),
            ({"observed": {"x": 1.5}}, TypeError, "float"),
            ({"options": {"x": object()}}, TypeError, "does not fit JSON"),
            ({"fields": {"nope": FieldFacts()}}, ValueError, "no column `nope`"),
            ({"fields": {"pid": {}}}, TypeError, "not a FieldFacts"),
        ],
    )
    def test_refused(self, facts: dict[str, Any], kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            block_trace(**facts)

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


class TestSum:
    """Putting traces end to end."""

    def test_facts(self) -> None:
        one = block_trace(losses={"a_x": 1}, lost_per_cpu=[1], observed={"filtered": 2}, options={"pid": 1})
        other = block_trace(
            ROWS[:1], losses={"a_x": 2, "b_x": 3}, lost_per_cpu=[0, 4], host="lab0", started=STARTED - timedelta(days=1)
        )
        both = one + other
        assert both.to_dicts() == one.to_dicts() + other.to_dicts()
        assert both.losses == {"a_x": 3, "b_x": 3}
        assert both.lost_per_cpu == (1, 4)
        assert both.observed == {"filtered": 2}
        assert both.options == {"pid": (None, 1)}
        assert (both.host, both.kernel, both.tool) == ("lab0 + lab1", "6.12.0+", "disksnoop")
        assert both.started == STARTED - timedelta(days=1)
        assert both.duration == 4
        assert both.fields == one.fields
        assert sum([one, other]) == both

    def test_wall_clock_stays(self) -> None:
        one, other = block_trace(), block_trace(clock_offset_ns=OFFSET - 10**12)
        for both in (one + other, other + one):
            assert both.clock_offset_ns == OFFSET - 10**12
            assert sorted(both.times) == sorted([*one.times, *other.times])
        assert (one + other[:0]).times.tolist() == one.times.tolist()
        assert (one[:0] + other).times.tolist() == other.times.tolist()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"target": "a:b"}, "target differs"),
            ({"fields": {}}, "fields differs"),
        ],
    )
    def test_refused(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=f"add traces of `block.*`: {message}"):
            block_trace() + block_trace(**change)

    def test_refused_types_and_clocks(self) -> None:
        with pytest.raises(TypeError):
            block_trace() + 1  # type: ignore[operator]
        late = block_trace([((1 << 64) - 1, *ROWS[0][1:])])
        with pytest.raises(ValueError, match="more than a time stamp holds"):
            late + block_trace(clock_offset_ns=0)
        with pytest.raises(ValueError, match="dtype differs"):
            Trace(records=np.zeros(1, [("ts_ns", "u8"), ("x", "u4")]), target="a:b") + Trace(
                records=np.zeros(1, [("ts_ns", "u8"), ("x", "i4")]), target="a:b"
            )


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
            ({"by": "pid", "max_groups": 0}, "less than 1"),
        ],
    )
    def test_refused(self, call: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            block_trace().histogram(**call)

    def test_refused_columns(self) -> None:
        with pytest.raises(KeyError, match="no column `nope`"):
            block_trace().histogram("nope")
        records = np.array([(1, -5, 0.5)], [("ts_ns", "u8"), ("delta_ns", "i8"), ("ratio", "f8")])
        trace = Trace(records=records, target="a:b")
        with pytest.raises(ValueError, match="negative values"):
            trace.histogram("delta_ns")
        with pytest.raises(ValueError, match="cannot split by column `ratio`"):
            trace.histogram("ts_ns", by="ratio")
