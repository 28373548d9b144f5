"""The kernel's side of whatever runs: its maps, links and ring buffer, read."""

from __future__ import annotations

import time

from rtrace import _rtrace

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.shapes.splits import Split

    # What is counted per slot, and the sum of the latencies in nanoseconds.
    Counted = tuple[list[int], int]

# Which end of the function a program stands at, where the kernel may leave out a run of it.
SIDES = {
    "fnlat_fentry": "entry",
    "fnlat_kprobe": "entry",
    "fnlat_fexit": "return",
    "fnlat_kretprobe": "return",
}
# What runs at the entry, or where the system call around the function begins.
ENTRIES = ("fnlat_fentry", "fnlat_kprobe", "fnlat_sys_enter", "fnlat_tp_enter")
# Losses of one kind of result only: records cannot be too many groups, and a histogram needs no room in a ring.
LOST_COUNTS = "groups_full"
LOST_RECORDS = "records_lost"


class Session:
    """The kernel's side of what runs.

    Attributes
    ----------
    object, links
        The loaded programs and maps, and what they are attached to.
    ring
        Where records come from; None if there are none.
    filtered
        Whether not everybody's activity counts.
    started : float
        When it was attached, seconds since 1970.
    """

    __slots__ = ("_attached", "_detached", "filtered", "links", "object", "ring", "started")

    def __init__(
        self, loaded: _rtrace.Object, links: list[_rtrace.Link], ring: _rtrace.RingBuffer | None, *, filtered: bool
    ) -> None:
        self.object = loaded
        self.links = links
        self.ring = ring
        self.filtered = filtered
        self.started = time.time()
        self._attached = time.monotonic()
        self._detached: float | None = None

    @property
    def lasted(self) -> float:
        """Seconds from attaching to detaching, or until now."""
        return (time.monotonic() if self._detached is None else self._detached) - self._attached

    def histograms(self, split: Split | None) -> tuple[Counted, dict[int | str, Counted]]:
        """Read all histograms: the whole, and the parts when it is split."""
        if split is None:
            return counted(self.sums("HISTOGRAM")), {}
        from rtrace.histogram_check import add_up  # noqa: PLC0415  # not needed to attach

        found = self.object.map("GROUPS").sums()
        parts: dict[int | str, Counted] = {}
        for name, (_, values) in zip(split.names([key for key, _ in found]), found, strict=True):
            counts, sum_ns = counted(values)
            if name in parts:
                # Different to the kernel, the same to people: numbers that the format gives one name.
                counts, sum_ns = add_up([counts, parts[name][0]]), sum_ns + parts[name][1]
            parts[name] = counts, sum_ns
        whole = add_up(counts for counts, _ in parts.values()), sum(sum_ns for _, sum_ns in parts.values())
        return whole, parts

    def losses(self) -> dict[str, int]:
        """Return what was lost, by cause; causes that did not occur are left out."""
        lost = self.sums("LOSSES")
        if not self.filtered:
            self.add_missed(lost)
        if self.ring is not None:
            lost.update(self.ring.losses())
        return {cause: number for cause, number in lost.items() if number}

    def losses_of_records(self) -> dict[str, int]:
        """Return how many records are missing, by cause: a histogram may lack what they have."""
        return {cause: number for cause, number in self.losses().items() if cause != LOST_COUNTS}

    def losses_of_counts(self) -> dict[str, int]:
        """Return how much is missing from histograms, by cause: records may lack what they have."""
        records = {LOST_RECORDS, *(self.ring.losses() if self.ring is not None else ())}
        return {cause: number for cause, number in self.losses().items() if cause not in records}

    def add_missed(self, lost: dict[str, int]) -> None:
        """Add the hits that the kernel did not run a program for."""
        missed = [self.object.program_info(link.program)["recursion_misses"] for link in self.links]
        lost["hits_missed"] = sum(missed)

    def observed(self) -> dict[str, int]:
        """Return what was seen beside that, and how much was left out on purpose.

        What the kernel did not run a program for is a loss where all is wanted. Where not, nobody knows whose it was:
        it is told here, as anybody's.
        """
        found = self.sums("OBSERVED")
        if self.filtered:
            missed: dict[str, int] = {"returns_missed": 0}
            self.add_missed(missed)
            found.update({f"{cause}_of_anybody": number for cause, number in missed.items() if number})
        return found

    def sums(self, name: str) -> dict[str, Any]:
        """Return the one entry of a map with all CPUs added up."""
        ((_, found),) = self.object.map(name).sums()
        return found

    def detach(self) -> None:
        """Let no more come; what was counted and recorded stays."""
        if self._detached is None:
            # Before: closing takes long, since the kernel waits for its programs to end.
            self._detached = time.monotonic()
            self._let_go()

    def _let_go(self) -> None:
        """Close the links; called once."""
        _rtrace.close_all(self.links)

    def close(self) -> None:
        """Detach and free."""
        _rtrace.close_all(self.links)
        if self.ring is not None:
            self.ring.close()
        self.object.close()


class PairSession(Session):
    """The kernel's side of two tracepoints that a key joins; the first link is that of the end."""

    __slots__ = ()

    def _let_go(self) -> None:
        """Close the links; called once."""
        # Of starts that nothing ends any more each would look as if the next one had taken its key over: a loss.
        _rtrace.close_all(self.links[1:])
        super()._let_go()

    def observed(self) -> dict[str, int]:
        """Return what was seen beside that; ``starts_not_ended`` are those whose end has not come yet."""
        starts = self.object.map("STARTS")
        keys, _, _ = starts.snapshot_bytes()
        return {**super().observed(), "starts_not_ended": len(keys) // starts.key_bytes}


class FunctionSession(Session):
    """The kernel's side of a function's measurement."""

    __slots__ = ("boundary", "mechanism", "missed_at_end", "storage")

    def __init__(  # noqa: PLR0913  # one caller
        self,
        loaded: _rtrace.Object,
        links: list[_rtrace.Link],
        ring: _rtrace.RingBuffer | None,
        *,
        mechanism: str,
        boundary: str,
        storage: str,
        filtered: bool,
    ) -> None:
        super().__init__(loaded, links, ring, filtered=filtered)
        self.mechanism = mechanism
        self.boundary = boundary
        self.storage = storage
        # What the kernel did not run the programs for, by side, once they are detached.
        self.missed_at_end: dict[str, int] | None = None

    def add_missed(self, lost: dict[str, int]) -> None:
        """Add what the kernel did not run a program for."""
        entered, returned = self._missed("entry"), self._missed("return")
        lost["entries_missed"] = entered
        # A missed return shows twice: in the kernel's count at once, in ours when its thread calls again.
        lost["returns_missed"] = max(lost["returns_missed"], returned)

    def _missed(self, side: str) -> int:
        """Return how often the kernel did not run our program for that side of the function."""
        if self.missed_at_end is not None:
            return self.missed_at_end[side]
        missed = 0
        for link in self.links:
            if SIDES.get(link.program) == side:
                missed += (link.missed() or 0) + self.object.program_info(link.program)["recursion_misses"]
        return missed

    def _let_go(self) -> None:
        """Close the links; called once."""
        # Links know it only while they are attached.
        self.missed_at_end = {side: self._missed(side) for side in ("entry", "return")}
        # A thread that calls again after a return that nobody saw would look as if the kernel had missed it.
        _rtrace.close_all([link for link in self.links if link.program in ENTRIES])
        super()._let_go()


def counted(found: dict[str, Any]) -> Counted:
    """Return the parts of one histogram."""
    return found["counts"], found["sum_ns"]
