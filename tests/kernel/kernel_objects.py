"""What is in the kernel: programs, maps and links by their ids, and probes by their names.

Asked with system calls of its own, so that a fault of rtrace's cannot hide itself.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import time
from pathlib import Path

# SYS_bpf and the commands that list ids (include/uapi/linux/bpf.h).
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
NEXT_ID = {"programs": 11, "maps": 12, "links": 31}
# Freed in the background, after an RCU grace period; on an emulated CPU that takes its time.
GRACE = 20.0

LIBC = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    """The part of union bpf_attr that listing ids reads."""

    _fields_ = (("start_id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32))


def ids(command: int) -> frozenset[int]:
    """Return the ids of every object of one kind."""
    found = set()
    attributes = Attributes()
    while LIBC.syscall(SYS_BPF, command, ctypes.byref(attributes), ctypes.sizeof(attributes)) == 0:
        found.add(attributes.next_id)
        attributes.start_id = attributes.next_id
    return frozenset(found)


def survey() -> dict[str, frozenset[object]]:
    """Return everything that tracing might leave behind."""
    found: dict[str, frozenset[object]] = {kind: ids(command) for kind, command in NEXT_ID.items()}
    probes = Path("/sys/kernel/tracing/kprobe_events")
    found["probes"] = frozenset(probes.read_text().splitlines()) if probes.exists() else frozenset()
    found["mounts"] = frozenset(Path("/proc/self/mounts").read_text().splitlines())
    found["descriptors"] = frozenset(name for name in os.listdir("/proc/self/fd") if is_kernel_object(name))
    return found


def is_kernel_object(descriptor: str) -> bool:
    """Whether a descriptor of ours is a program, map, link or perf event."""
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return False
    return "bpf" in target or "perf_event" in target


def left_behind(before: dict[str, frozenset[object]]) -> dict[str, frozenset[object]]:
    """Return what is there now and was not before, once the kernel has had its time to free what was closed."""
    gc.collect()
    deadline = time.monotonic() + GRACE
    while True:
        found = survey()
        left = {kind: found[kind] - before[kind] for kind in found if found[kind] - before[kind]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)
