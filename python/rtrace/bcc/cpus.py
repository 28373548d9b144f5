"""Which CPUs there are."""

from __future__ import annotations

from rtrace.bcc.once import once


def read_list(path: str) -> list[int]:
    """Return the numbers of a kernel's list such as ``0-3,8``."""
    with open(path, encoding="ascii") as file:
        ranges = (part.partition("-") for part in file.read().strip().split(",") if part)
        return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]


def online() -> list[int]:
    """Return the CPUs that run now."""
    return read_list("/sys/devices/system/cpu/online")


def possible() -> list[int]:
    """Return the CPUs that may ever run."""
    return read_list("/sys/devices/system/cpu/possible")


@once
def possible_cpus() -> int:
    """Return how many CPUs may ever run, which never changes."""
    return len(possible())
