"""Requests to disks as lines of text, exactly as bcc's disksnoop writes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rtrace.cli.event_lines import boot_time
from rtrace.display.wording import printable

if TYPE_CHECKING:
    from rtrace.trace import Trace

HEADING = "%-18s %-2s %-7s %8s" % ("TIME(s)", "T", "BYTES", "LAT(ms)")  # noqa: UP031  # bcc's own format
MORE = "%s  %-12s %s"
MINOR_BITS = 20
DEVICES = "/sys/dev/block"


class DiskTable:
    """A line for each request."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._disks: dict[int, str] = {}

    def heading(self) -> str:
        """Return the names of the columns."""
        return f"{MORE % (HEADING, 'DISK', 'COMM') if self._verbose else HEADING}\n"

    def lines(self, trace: Trace) -> str:
        """Return one line per request."""
        rows = zip(
            trace["ts_ns"].tolist(),
            [printable(flags[:1]) for flags in trace.names("rwbs").tolist()],
            trace["bytes"].tolist(),
            (trace["latency_ns"] / 1e6).tolist(),
            strict=True,
        )
        found = [f"{boot_time(ns):<18} {kind:<2} {size:<7} {latency:8.2f}" for ns, kind, size, latency in rows]
        if self._verbose:
            found = [
                MORE % row for row in zip(found, self._names(trace), map(printable, trace.names("comm")), strict=True)
            ]
        return "".join([f"{line}\n" for line in found])

    def _names(self, trace: Trace) -> list[str]:
        devices = trace["dev"].tolist()
        for device in set(devices) - self._disks.keys():
            self._disks[device] = disk_name(device)
        return [self._disks[device] for device in devices]


def disk_name(device: int) -> str:
    """Return what a kernel dev_t is called on this machine, or its numbers."""
    major, minor = device >> MINOR_BITS, device & (1 << MINOR_BITS) - 1
    try:
        return printable(os.path.basename(os.readlink(f"{DEVICES}/{major}:{minor}")))
    except OSError:
        return f"{major},{minor}"
