"""What scripts import from ``bcc.perf``: the attributes of a perf event."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


class PerfEventAttributes:
    """Attributes for :meth:`BPF.attach_perf_event_raw`, which uses type, config, period and frequency."""

    def __init__(self) -> None:
        self.type = 0
        self.config = 0
        self.sample_period = 0
        self.sample_freq = 0
        self.freq = 0

    def __setattr__(self, name: str, value: Any) -> None:
        """Set one of the attributes that are used."""
        if name not in {"type", "config", "sample_period", "sample_freq", "freq"}:
            message = (
                f"perf event attribute `{name}` is not used: type, config, sample_period, sample_freq and freq are"
            )
            raise AttributeError(message)
        super().__setattr__(name, value)


class Perf:
    """The place where bcc keeps the class of attributes, and its numbers."""

    perf_event_attr = PerfEventAttributes

    PERF_TYPE_HARDWARE = 0
    PERF_TYPE_SOFTWARE = 1
    PERF_TYPE_TRACEPOINT = 2
    PERF_TYPE_HW_CACHE = 3
    PERF_TYPE_RAW = 4
