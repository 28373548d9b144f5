"""What is in the kernel: programs, maps and links by their ids, and probes by their names.

Asked with system calls of its own, so that a fault of rtrace's cannot hide itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import time
from pathlib import Path

# SYS_bpf and the commands that list ids (include/uapi/linux/bpf.h).
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
NEXT_ID = {"programs": 11, "maps": 12, "links": 31}
# What a descriptor's fdinfo calls them.
FDINFO = {"programs": "prog_id:", "maps": "map_id:", "links": "link_id:"}
# Freed in the background, after an RCU grace period; on an emulated CPU that takes its time.
GRACE = 20.0
# Most of it is gone by then, without a look through every process of the machine for who else may hold it.
OWN_GRACE = 0.3

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


def held_by(pid: int | str) -> dict[str, set[int]]:
    """Return the ids of the programs, maps and links that a process has descriptors of."""
    found: dict[str, set[int]] = {kind: set() for kind in NEXT_ID}
    # A process may end, and a descriptor be closed, while we look.
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().split()
                for kind, word in FDINFO.items():
                    if word in words:
                        found[kind].add(int(words[words.index(word) + 1]))
    return found


def ours() -> set[str]:
    """Return the numbers of this process and all that descend from it."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parents[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    found = {str(os.getpid())}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def held_by_others() -> dict[str, set[int]]:
    """Return what processes that are not ours hold: others may trace on this machine as well."""
    found: dict[str, set[int]] = {kind: set() for kind in NEXT_ID}
    for pid in set(filter(str.isdigit, os.listdir("/proc"))) - ours():
        for kind, numbers in held_by(pid).items():
            found[kind] |= numbers
    return found


def left_behind(before: dict[str, frozenset[object]]) -> dict[str, frozenset[object]]:
    """Return what is there now and was not before, once the kernel has had its time to free what was closed."""
    gc.collect()
    soon = time.monotonic() + OWN_GRACE
    deadline = soon + GRACE
    new = {kind: found - before[kind] for kind, found in survey().items()}
    while True:
        # What comes into being while we wait is somebody else's.
        now = survey()
        left = {kind: found & now[kind] for kind, found in new.items() if found & now[kind]}
        if left and time.monotonic() > soon:
            others = held_by_others()
            left = {kind: found - others.get(kind, set()) for kind, found in left.items()}
            left = {kind: found for kind, found in left.items() if found}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.005)


def are_gone(programs: set[int]) -> bool:
    """Whether none of these programs is left, once the kernel has had its time to free what was closed."""
    deadline = time.monotonic() + GRACE
    while programs & ids(NEXT_ID["programs"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not programs & ids(NEXT_ID["programs"])
