"""The options of a latency measurement, checked, and as the programs read them."""

from __future__ import annotations

from rtrace import option_checks
from rtrace.shapes import splits, targets
from rtrace.shapes.record_plan import MAX_PAYLOAD
from rtrace.shapes.ring_options import SMALLEST, RingOptions

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Literal

    from rtrace import _rtrace
    from rtrace.histogram import Unit

    Mechanism = Literal["auto", "fentry", "kprobe", "syscall"]
    GroupBy = Literal["pid", "tid", "comm", "cpu"]

# In the order in which "auto" tries them.
MECHANISMS = ("fentry", "kprobe", "syscall")
UNIT_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
# Room for 64 thousand calls.
RING_BYTES = 4 << 20


class Options:
    """What to measure and how; refuses what cannot be measured before anything is asked of the kernel."""

    __slots__ = (
        "by",
        "device",
        "max_groups",
        "mechanism",
        "min_latency",
        "records",
        "ring",
        "target",
        "tasks",
        "tool",
        "unit",
    )

    def __init__(  # noqa: PLR0913  # the keyword-only options of function_latency
        self,
        *,
        target: str,
        mechanism: Mechanism = "auto",
        unit: Unit = "us",
        tasks: targets.Tasks | None = None,
        min_latency: float | None = None,
        by: GroupBy | None = None,
        max_groups: int = 1024,
        records: bool = False,
        ring: RingOptions | None = None,
        device: tuple[int, int] | None = None,
        tool: str = "function_latency",
    ) -> None:
        self.target = target
        self.mechanism = mechanism
        self.unit = unit
        self.tasks = tasks or targets.Tasks(None, None, None)
        self.min_latency = option_checks.maybe_seconds("min_latency", min_latency, zero=True)
        self.by = by
        self.max_groups = check_entries("max_groups", max_groups)
        self.records = bool(records)
        self.ring = ring or RingOptions(ring_bytes=RING_BYTES)
        self.device = device
        self.tool = tool
        self._check()

    def _check(self) -> None:
        option_checks.choice("mechanism", self.mechanism, ("auto", *MECHANISMS))
        option_checks.choice("by", self.by, (None, *splits.TASK_GROUPS))
        check_unit(self.unit)
        option_checks.text("tool", self.tool)
        if not isinstance(self.target, str):
            message = f"target must be the name of a function, not {type(self.target).__name__}"
            raise TypeError(message)
        if not self.target or not self.target.isprintable() or any(letter.isspace() for letter in self.target):
            message = f"{self.target!r} is not the name of a function"
            raise ValueError(message)

    @property
    def split(self) -> splits.Split | None:
        """What the histogram is split by."""
        return splits.of_task(self.by)

    def facts(self) -> dict[str, object]:
        """Return the filters that are on, for the result."""
        facts = self.tasks.facts()
        if self.min_latency is not None:
            facts["min_latency"] = self.min_latency
        return facts

    def apply(self, spec: _rtrace.ObjectSpec) -> None:
        """Write the options into the object's globals; what is off costs nothing in the kernel."""
        self.tasks.apply(spec)
        apply_counting(spec, self.unit, self.min_latency, self.split, self.max_groups)
        if self.device is not None:
            targets.set_device(spec, self.device)
        spec.set_global("RECORD_CALLS", int(self.records))
        if self.records:
            self.ring.apply(spec)
        else:
            spec.set_max_entries("EVENTS", SMALLEST)


def apply_counting(
    spec: _rtrace.ObjectSpec, unit: Unit, min_latency: float | None, split: splits.Split | None, max_groups: int
) -> None:
    """Tell the programs what is counted, and how."""
    spec.set_global("MIN_LATENCY_NS", round((min_latency or 0) * 1e9))
    spec.set_global("UNIT_NS", UNIT_NS[unit])
    if split is None:
        spec.set_max_entries("GROUPS", 1)
    else:
        split.apply(spec, max_groups)


def check_entries(name: str, number: int) -> int:
    """Return a number of entries that a map can hold."""
    return option_checks.whole(name, number, f"positive and below {2**24}", 1, 2**24)


def check_unit(unit: str) -> None:
    """Refuse a unit that histograms do not have."""
    option_checks.choice("unit", unit, tuple(UNIT_NS))


def check_field_bytes(**sizes: int) -> None:
    """Refuse sizes that a field of a record cannot have."""
    what = f"a multiple of 8 up to {MAX_PAYLOAD}"
    for name, size in sizes.items():
        if option_checks.whole(name, size, what, 1, MAX_PAYLOAD + 1) % 8:
            message = f"{name} must be {what}, not {size!r}"
            raise ValueError(message)
