"""The options of a ring buffer and of what is held for its reader, checked."""

from __future__ import annotations

import os

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
        self.ring_bytes = ring_bytes
        self.wakeup_bytes = ring_bytes // WAKEUP_PART if wakeup_bytes is None else wakeup_bytes
        self.max_bytes = max_bytes
        self.when_full = when_full
        check_ring_bytes(ring_bytes)
        if not 0 <= self.wakeup_bytes <= ring_bytes:
            message = f"wakeup_bytes must be at most ring_bytes, {ring_bytes}, not {wakeup_bytes!r}"
            raise ValueError(message)
        if max_bytes <= 0:
            message = f"max_bytes must be positive, not {max_bytes!r}"
            raise ValueError(message)
        if when_full not in WHEN_FULL:
            message = f"when_full must be one of {', '.join(map(repr, WHEN_FULL))}, not {when_full!r}"
            raise ValueError(message)

    def apply(self, spec: _rtrace.ObjectSpec) -> None:
        """Size the ring, and tell the programs when to wake the reader."""
        spec.set_max_entries("EVENTS", self.ring_bytes)
        spec.set_global("WAKEUP_BYTES", self.wakeup_bytes)

    def open(self, loaded: _rtrace.Object, record_bytes: int | None = None) -> _rtrace.RingBuffer:
        """Start to drain it."""
        return loaded.ring_buffer(
            "EVENTS", record_bytes=record_bytes, max_bytes=self.max_bytes, when_full=self.when_full
        )


def check_ring_bytes(size: int) -> None:
    """Refuse a size that a ring buffer cannot have."""
    if not (SMALLEST <= size < 2**31 and size & (size - 1) == 0):
        message = f"ring_bytes must be a power of two, at least {SMALLEST}, not {size!r}"
        raise ValueError(message)
