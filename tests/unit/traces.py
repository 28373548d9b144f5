"""Traces for tests, as disksnoop makes them and of known latencies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

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
