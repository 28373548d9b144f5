"""Histograms for tests: of known latencies, and any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st

import rtrace.histogram_file  # noqa: F401  # so that no example has to wait for it
from rtrace.histogram import SLOTS, Histogram

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
