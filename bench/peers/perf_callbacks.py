"""One script for both: ``perf_callbacks.py rtrace|bcc empty|fields|read|calls ROUNDS`` fills and empties a perf buffer.

Prints a line of JSON for each round: how many events came, and the CPU time that it took to hand them to Python. With
``calls`` there is no buffer: the interpreter's own `map` calls the empty callback as often.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from itertools import repeat

BPF = __import__(sys.argv[1]).BPF

TEXT = """
struct event {
    u64 ts_ns;
    u32 pid;
    u32 number;
    char comm[16];
};

BPF_PERF_OUTPUT(events);

TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    struct event event = {};

    if (bpf_get_current_pid_tgid() >> 32 != TARGET_PID)
        return 0;
    event.ts_ns = bpf_ktime_get_ns();
    event.pid = TARGET_PID;
    bpf_get_current_comm(event.comm, sizeof(event.comm));
    for (int index = 0; index < PER_HIT; index++) {
        event.number = index;
        events.perf_submit(args, &event, sizeof(event));
    }
    return 0;
}
"""
PER_HIT = 500
# With its header an event takes 48 bytes.
EVENTS = 300_000
# Waking a reader for each event costs the program 7 us, and the reader is not waiting.
OPTIONS = {"page_cnt": 4096, "wakeup_events": EVENTS}


class Callbacks:
    """What is called for every event, and what it has seen."""

    def __init__(self, table: object) -> None:
        self.table = table
        self.count = self.lost = 0

    def empty(self, _cpu: int, _data: int, _size: int) -> None:
        """Do nothing."""

    def counted(self, _cpu: int, _data: int, _size: int) -> None:
        """Count."""
        self.count += 1

    def fields(self, _cpu: int, data: int, _size: int) -> None:
        """Read three fields."""
        event = self.table["events"].event(data)
        if event.pid and event.ts_ns and event.comm:
            self.count += 1

    def tell(self, number: int) -> None:
        """Take note of a loss."""
        self.lost += number


def fill() -> None:
    """Make all events."""
    for _ in range(EVENTS // PER_HIT):
        os.getppid()


def calls_alone(rounds: int) -> None:
    """Call what does nothing, so many times for each event."""
    callback = Callbacks(None).empty
    for _ in range(rounds):
        began = time.process_time_ns()
        deque(map(callback, repeat(1, EVENTS), range(1 << 45, (1 << 45) + EVENTS), repeat(28)), maxlen=0)
        print(json.dumps({"cpu_ns": time.process_time_ns() - began, "events": EVENTS}), flush=True)


def main(kind: str, rounds: int) -> None:
    """Fill and empty, so many times; every event must come."""
    # All into one CPU's buffer.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    b = BPF(text=TEXT.replace("TARGET_PID", str(os.getpid())).replace("PER_HIT", str(PER_HIT)))
    callbacks = Callbacks(b)
    # What counts cannot be empty: that all events come is shown before.
    b["events"].open_perf_buffer(callbacks.counted, **OPTIONS, lost_cb=callbacks.tell)
    fill()
    b.perf_buffer_consume()
    assert (callbacks.count, callbacks.lost) == (EVENTS, 0)  # noqa: S101
    callback = {"empty": callbacks.empty, "fields": callbacks.fields, "read": None}[kind]
    b["events"].open_perf_buffer(callback, **OPTIONS, lost_cb=callbacks.tell)
    for _ in range(rounds):
        callbacks.count = 0
        fill()
        began = time.process_time_ns()
        if callback is None:
            callbacks.count = len(b["events"].read(0))
        else:
            b.perf_buffer_consume()
        took = time.process_time_ns() - began
        assert (callbacks.count, callbacks.lost) == (0 if kind == "empty" else EVENTS, 0)  # noqa: S101
        print(json.dumps({"cpu_ns": took, "events": EVENTS}), flush=True)


if sys.argv[2] == "calls":
    calls_alone(int(sys.argv[3]))
else:
    main(sys.argv[2], int(sys.argv[3]))
