"""Records of a ring buffer with bcc, for Debian's python3-bpfcc.

``bcc_events.py fill ROUNDS`` fills a ring buffer, then reads all of it into one numpy array.
``bcc_events.py hit PID`` counts records of a process's getppid until it is interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from bcc import BPF  # type: ignore[import-not-found]

TEXT = """
struct event {
    u64 ts_ns;
    u32 pid;
    u32 tid;
    u64 number;
    u64 spare;
};

BPF_RINGBUF_OUTPUT(EVENTS, 16384);
BPF_ARRAY(LOST, u64, 1);

TRACEPOINT_PROBE(syscalls, sys_enter_getppid)
{
    u64 task = bpf_get_current_pid_tgid();

    if (task >> 32 != TARGET_PID)
        return 0;
    for (int index = 0; index < PER_HIT; index++) {
        struct event *event = EVENTS.ringbuf_reserve(sizeof(*event));

        if (!event) {
            LOST.increment(0);
            return 0;
        }
        event->ts_ns = bpf_ktime_get_ns();
        event->pid = task >> 32;
        event->tid = task;
        event->number = index;
        event->spare = 0;
        EVENTS.ringbuf_submit(event, FLAGS);
    }
    return 0;
}
"""
PER_HIT = 1024
RECORDS = (16384 * 4096) // 40


def fill(rounds: int) -> None:
    """Fill, read and convert, so many times."""
    text = TEXT.replace("TARGET_PID", str(os.getpid())).replace("PER_HIT", str(PER_HIT))
    program = BPF(text=text.replace("FLAGS", "BPF_RB_NO_WAKEUP"))
    table = program["EVENTS"]
    rows: list[tuple[int, int, int, int]] = []

    def keep(_context: object, data: object, _size: int) -> None:
        event = table.event(data)
        rows.append((event.ts_ns, event.pid, event.tid, event.number))

    table.open_ring_buffer(keep)
    for _ in range(rounds):
        for _ in range(RECORDS // PER_HIT + 1):
            os.getppid()
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        program.ring_buffer_consume()
        facts = {"wall_ns": time.monotonic_ns() - wall, "cpu_ns": time.process_time_ns() - cpu}
        print(json.dumps({"records": len(rows), **facts}), flush=True)
        rows.clear()


def hit(pid: int) -> None:
    """Count until interrupted."""
    text = TEXT.replace("TARGET_PID", str(pid)).replace("PER_HIT", "1").replace("FLAGS", "0")
    program = BPF(text=text)
    table = program["EVENTS"]
    stop = []
    delivered = 0

    def count(_context: object, data: object, _size: int) -> None:
        nonlocal delivered
        event = table.event(data)
        delivered += event.pid == pid

    table.open_ring_buffer(count)
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))
    print("attached", flush=True)
    while not stop:
        program.ring_buffer_poll(100)
    program.ring_buffer_consume()
    cpu_ms = time.process_time_ns() / 1e6
    print(json.dumps({"delivered": delivered, "lost": program["LOST"][0].value, "cpu_ms": cpu_ms}), flush=True)


if sys.argv[1] == "fill":
    fill(int(sys.argv[2]))
else:
    hit(int(sys.argv[2]))
