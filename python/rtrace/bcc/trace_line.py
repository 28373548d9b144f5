"""Lines of the kernel's trace pipe, taken apart."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.bcc.trace_pipe import Fields

# `   task-pid  (tgid) [cpu] flags time: event: message`; the task's name may have any characters in it, 15 at most.
_ANY = rb" *(?P<task>.{1,15})-(?P<pid>\d+) +(?:\([ \d-]+\) +)?\[(?P<cpu>\d+)\] +(?P<flags>\S+) +(?P<time>\d+\.\d+): "
_EVENT = re.compile(_ANY)
_PRINTED = re.compile(_ANY + rb"(?:bpf_trace_printk|0x[0-9a-f]+): (?P<message>.*)")
_NOW = re.compile(rb"^now ts: +(\d+\.\d+)$", re.MULTILINE)
_LOST = re.compile(rb"CPU:\d+ \[LOST (\d+) EVENTS\]")


def parse(line: bytes) -> Fields | None:
    """Return the parts of a line that a program has printed, None for any other line.

    Examples
    --------
    >>> parse(b"           <...>-4321    [001] d..31 12.345678: bpf_trace_printk: 8192")
    (b'<...>', 4321, 1, b'd..31', 12.345678, b'8192')
    """
    fields = _PRINTED.match(line)
    if fields is None:
        return None
    task, pid, cpu, flags, seconds, message = fields.groups()
    return task, int(pid), int(cpu), flags, float(seconds), message


def lost(line: bytes) -> int:
    """Return how many lines the kernel says that it had no room for; 0 for any line but such a one.

    Examples
    --------
    >>> lost(b"CPU:3 [LOST 42 EVENTS]")
    42
    """
    said = _LOST.match(line)
    return int(said[1]) if said else 0


def seconds(line: bytes) -> float | None:
    """Return when an event was traced, by the trace buffer's clock; None of any other line.

    Examples
    --------
    >>> seconds(b"           <...>-4321    [001] d..31 12.345678: sched_switch: prev_comm=dd")
    12.345678
    """
    found = _EVENT.match(line)
    return float(found["time"]) if found else None


def now(stats: bytes) -> float | None:
    r"""Return what the trace buffer's clock says in the `stats` of a CPU; None if it counts no seconds.

    Examples
    --------
    >>> now(b"entries: 0\noldest event ts:     0.000000\nnow ts:   357.975482\ndropped events: 0\n")
    357.975482
    """
    found = _NOW.search(stats)
    return float(found[1]) if found else None


class Older:
    """The lines at the beginning of the pipe that were printed before a moment; lines come in the order of their times.

    What a CPU has lost is as old as the line after it; a line without a time, of a message that has several, as the
    line before it.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._last = False
        self.kept = b""
        self.over = False

    def holds(self, line: bytes) -> bool:
        """Return whether it is one of them, or tells a loss that may be: :attr:`kept` until the next line decides."""
        if lost(line):
            self.kept = line
            return True
        time = seconds(line)
        if time is not None:
            self._last = time < self._since
            self.over = not self._last
        if self._last:
            self.kept = b""
        return self._last
