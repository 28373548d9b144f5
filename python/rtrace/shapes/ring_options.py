"""The options of a ring buffer and of what is held for its reader, checked."""

from __future__ import annotations

import os

from rtrace import option_checks

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Literal

    from rtrace import _rtrace

    WhenFull = Literal["wait", "drop_newest", "drop_oldest"]

# Smallest ring buffer that the kernel accepts: one page.
SMALLEST = os.sysconf("SC_PAGE_SIZE")
# Room for a few hundred thousand small records: what a flood writes while the reader is kept from running for 0.1 s.
RING_BYTES = 16 << 20
# Most that is held for a reader that does not come.
MAX_BYTES = 256 << 20
WHEN_FULL = ("wait", "drop_newest", "drop_oldest")
# The reader is woken when this part of the ring is full; it also looks by itself.
WAKEUP_PART = 8


class RingOptions:
    """How records come from the programs to their reader."""

    __slots__ = ("max_bytes", "ring_bytes", "wakeup_bytes", "when_full")

    def __init__(
        self,
        *,
        ring_bytes: int = RING_BYTES,
        wakeup_bytes: int | None = None,
        max_bytes: int = MAX_BYTES,
        when_full: WhenFull = "wait",
    ) -> None:
        self.ring_bytes = size = check_ring_bytes(ring_bytes)
        if wakeup_bytes is None:
            wakeup_bytes = size // WAKEUP_PART
        self.wakeup_bytes = option_checks.whole(
            "wakeup_bytes", wakeup_bytes, f"at most ring_bytes, {size}", 0, size + 1
        )
        self.max_bytes = option_checks.whole("max_bytes", max_bytes, "positive and below 2**63", 1, 2**63)
        option_checks.choice("when_full", when_full, WHEN_FULL)
        self.when_full = when_full

    def apply(self, spec: _rtrace.ObjectSpec) -> None:
        """Size the ring, and tell the programs when to wake the reader."""
        spec.set_max_entries("EVENTS", self.ring_bytes)
        spec.set_global("WAKEUP_BYTES", self.wakeup_bytes)

    def open(self, loaded: _rtrace.Object, record_bytes: int | None = None) -> _rtrace.RingBuffer:
        """Start to drain it."""
        return loaded.ring_buffer(
            "EVENTS", record_bytes=record_bytes, max_bytes=self.max_bytes, when_full=self.when_full
        )


def check_ring_bytes(size: int) -> int:
    """Return a size that a ring buffer can have."""
    what = f"a power of two, at least {SMALLEST} and below {2**31}"
    number = option_checks.whole("ring_bytes", size, what, SMALLEST, 2**31)
    if number & (number - 1):
        message = f"ring_bytes must be {what}, not {number}"
        raise ValueError(message)
    return number
