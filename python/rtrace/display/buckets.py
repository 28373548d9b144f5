"""Counts in buckets, as the pictures see them: a histogram of latencies, or the slots of a program's own."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Buckets(Protocol):
    """What can be drawn as bars."""

    @property
    def numbers(self) -> Sequence[int]:
        """Count of each bucket."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """Bounds of the buckets, one more than there are."""

    @property
    def unit(self) -> str:
        """Unit of the edges, or nothing."""

    @property
    def target(self) -> str:
        """What is counted."""

    @property
    def mechanism(self) -> str:
        """How it is counted."""

    @property
    def total(self) -> int:
        """Sum of the counts."""

    def percentile(self, p: float) -> tuple[int, int]:
        """Return the bounds of the bucket where the percentile lies."""


class SlotBounds(NamedTuple):
    """The half-open range of one bucket."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """Counts of a program's own, by slot: powers of two, as ``bpf_log2l`` numbers them, or the values themselves.

    Attributes
    ----------
    target
        Name of the map.
    slots
        Count per slot, slot 0 first. Slot i of powers of two covers 2**(i-1) .. 2**i - 1, and slot 0 nothing.
    linear
        Whether a slot is the value itself.

    Examples
    --------
    >>> SlotCounts("sizes", [0, 0, 3, 1]).percentile(50)
    SlotBounds(low=2, high=4)
    """

    target: str
    slots: Sequence[int]
    linear: bool = False
    unit: str = ""
    mechanism: str = "slots"

    @property
    def numbers(self) -> Sequence[int]:
        """Count of each bucket."""
        return self.slots if self.linear else self.slots[1:]

    @property
    def edges(self) -> NDArray[np.float64]:
        """Bounds of the buckets."""
        places = np.arange(len(self.numbers) + 1, dtype=np.float64)
        if self.linear:
            return places
        edges = np.exp2(places)
        edges[0] = 0
        return edges

    @property
    def total(self) -> int:
        """Sum of the counts."""
        return sum(self.numbers)

    def percentile(self, p: float) -> SlotBounds:
        """Return the bounds of the bucket where the p-th percentile (nearest rank) lies."""
        seen = list(accumulate(self.numbers))
        bucket = bisect_left(seen, max(1, -(-p * seen[-1] // 100)))
        low, high = self.edges[bucket : bucket + 2].tolist()
        return SlotBounds(int(low), int(high))


def is_linear(buckets: Buckets) -> bool:
    """Whether each bucket is one value."""
    return bool(buckets.edges[1] == 1)
