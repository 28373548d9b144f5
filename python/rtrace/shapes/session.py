"""The kernel's side of a running measurement: its maps and links, read."""

from __future__ import annotations

from rtrace import _rtrace

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    # Calls per slot, and the sum of their latencies in nanoseconds.
    Counted = tuple[list[int], int]

# Which end of the function a program stands at, where the kernel may leave out a run of it.
SIDES = {
    "fnlat_fentry": "entry",
    "fnlat_kprobe": "entry",
    "fnlat_fexit": "return",
    "fnlat_kretprobe": "return",
}


class Session:
    """The kernel's side of a measurement."""

    __slots__ = ("boundary", "filtered", "links", "mechanism", "object", "ring", "storage")

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
        self.mechanism = mechanism
        self.boundary = boundary
        self.storage = storage
        self.object = loaded
        self.links = links
        self.ring = ring
        self.filtered = filtered

    def histograms(self, by: str | None) -> tuple[Counted, dict[int | str, Counted]]:
        """Read all histograms: the whole, and the parts when calls are split."""
        if by is None:
            return counted(sums(self.object, "HISTOGRAM")), {}
        from rtrace.histogram_check import add_up  # noqa: PLC0415  # not needed to attach

        parts = {group_name(by, key): counted(found) for key, found in self.object.map("GROUPS").sums()}
        counts = add_up(counts for counts, _ in parts.values())
        return (counts, sum(total for _, total in parts.values())), parts

    def losses(self) -> dict[str, int]:
        """Return what was lost, by cause; causes that did not occur are left out."""
        lost = sums(self.object, "LOSSES")
        if not self.filtered:
            # The kernel's own counts know nothing of filters; with one, only what the programs saw themselves counts.
            entered, returned = self._missed("entry"), self._missed("return")
            lost["entries_missed"] = entered
            # A missed return shows twice: in the kernel's count at once, in ours when its thread calls again.
            lost["returns_missed"] = max(lost["returns_missed"], returned)
        if self.ring is not None:
            lost.update(self.ring.losses())
        return {cause: number for cause, number in lost.items() if number}

    def observed(self) -> dict[str, int]:
        """Return how many calls were nested in others, and how many were left out on purpose."""
        return sums(self.object, "OBSERVED")

    def _missed(self, side: str) -> int:
        """Return how often the kernel did not run our program for that side of the function."""
        missed = 0
        for link in self.links:
            if SIDES.get(link.program) == side:
                missed += (link.missed() or 0) + self.object.program_info(link.program)["recursion_misses"]
        return missed

    def close(self) -> None:
        """Detach and free."""
        _rtrace.close_all(self.links)
        if self.ring is not None:
            self.ring.close()
        self.object.close()


def sums(loaded: _rtrace.Object, name: str) -> dict[str, Any]:
    """Return the one entry of a map with all CPUs added up."""
    ((_, found),) = loaded.map(name).sums()
    return found


def counted(found: dict[str, Any]) -> Counted:
    """Return the parts of one histogram."""
    return found["counts"], found["sum_ns"]


def group_name(by: str, key: bytes) -> int | str:
    """Turn a group's key into what users call it."""
    if by == "comm":
        return key.rstrip(b"\0").decode(errors="replace")
    return int.from_bytes(key[:4], "little")
