"""Traces put end to end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from rtrace.trace import Trace
from tests.unit.traces import OFFSET, ROWS, STARTED, block_trace


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
