"""Lines of the kernel's trace pipe, taken apart."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.bcc.trace_pipe import Fields

# `   task-pid  (tgid) [cpu] flags time: event: message`; the task's name may have any characters in it.
_LINE = re.compile(
    rb" *(?P<task>.+)-(?P<pid>\d+) +(?:\([ \d-]+\) +)?\[(?P<cpu>\d+)\] +(?P<flags>\S+) +(?P<time>\d+\.\d+): "
    rb"(?:bpf_trace_printk|0x[0-9a-f]+): (?P<message>.*)"
)
_LOST = re.compile(rb"CPU:\d+ \[LOST (\d+) EVENTS\]")


def parse(line: bytes) -> Fields | None:
    """Return the parts of a line that a program has printed, None for any other line.

    Examples
    --------
    >>> parse(b"           <...>-4321    [001] d..31 12.345678: bpf_trace_printk: 8192")
    (b'<...>', 4321, 1, b'd..31', 12.345678, b'8192')
    """
    fields = _LINE.match(line)
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
