"""The kernel's side of a running measurement: its maps and links, read."""

from __future__ import annotations

from rtrace import _rtrace

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    # Calls per slot, and the sum of their latencies in nanoseconds.
    Counted = tuple[NDArray[np.uint64], int]

# Which end of the function a program stands at, where the kernel may leave out a run of it.
SIDES = {
    "fnlat_fentry": "entry",
    "fnlat_kprobe": "entry",
    "fnlat_fexit": "return",
    "fnlat_kretprobe": "return",
}


class Session:
    """The kernel's side of a measurement."""

    __slots__ = ("boundary", "filtered", "links", "mechanism", "missed_at_end", "object", "ring", "storage")

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
        # What the kernel did not run the programs for, by side, once they are detached.
        self.missed_at_end: dict[str, int] | None = None

    def histograms(self, by: str | None) -> tuple[Counted, dict[int | str, Counted]]:
        """Read all histograms: the whole, and the parts when calls are split."""
        if by is None:
            _, values = self.object.map("HISTOGRAM").snapshot()
            return counted(values[0]), {}
        keys, values = self.object.map("GROUPS").snapshot()
        parts = {group_name(by, bytes(key)): counted(row) for key, row in zip(keys.tolist(), values, strict=True)}
        return counted(values), parts

    def losses(self) -> dict[str, int]:
        """Return what was lost, by cause; causes that did not occur are left out."""
        lost = self._sums("LOSSES")
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
        return self._sums("OBSERVED")

    def _sums(self, name: str) -> dict[str, int]:
        _, values = self.object.map(name).snapshot()
        return {field: int(values[field].sum()) for field in values.dtype.names or ()}

    def _missed(self, side: str) -> int:
        """Return how often the kernel did not run our program for that side of the function."""
        if self.missed_at_end is not None:
            return self.missed_at_end[side]
        missed = 0
        for link in self.links:
            if SIDES.get(link.program) == side:
                missed += (link.missed() or 0) + self.object.program_info(link.program)["recursion_misses"]
        return missed

    def detach(self) -> None:
        """Let no more calls come; what was counted stays."""
        if self.missed_at_end is None:
            # Links know it only while they are attached.
            self.missed_at_end = {side: self._missed(side) for side in ("entry", "return")}
            _rtrace.close_all(self.links)

    def close(self) -> None:
        """Detach and free."""
        _rtrace.close_all(self.links)
        if self.ring is not None:
            self.ring.close()
        self.object.close()


def sum_counts(values: NDArray[np.void]) -> NDArray[np.uint64]:
    """Add the slots of every row and CPU."""
    counts: NDArray[np.uint64] = values["counts"].reshape(-1, values["counts"].shape[-1]).sum(axis=0)
    return counts


def counted(row: NDArray[np.void]) -> Counted:
    """Add one histogram's parts of every CPU."""
    return sum_counts(row), int(row["sum_ns"].sum())


def group_name(by: str, key: bytes) -> int | str:
    """Turn a group's key into what users call it."""
    if by == "comm":
        return key.rstrip(b"\0").decode(errors="replace")
    return int.from_bytes(key[:4], "little")
