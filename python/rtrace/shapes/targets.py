"""Whom to measure: processes, threads and cgroups, checked before anything is attached."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from rtrace.errors import TargetNotFoundError

# Inode of the kernel's first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
FIRST_PID_NAMESPACE = 0xEFFFFFFC


@dataclasses.dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup of the unified hierarchy (version 2)."""

    path: str

    @classmethod
    def find(cls, where: str | os.PathLike[str] | int) -> Cgroup:
        """Return a cgroup by its folder, by its path below the hierarchy's root, or by its id.

        Raises
        ------
        TargetNotFoundError
            If there is no such cgroup, or no version 2 hierarchy is mounted.
        """
        root = unified_root()
        if isinstance(where, int):
            candidates = (folder for folder, _, _ in os.walk(root) if os.stat(folder).st_ino == where)
            path = next(candidates, None)
        else:
            given = Path(where)
            below = Path(root) / str(where).lstrip("/")
            path = next((str(folder) for folder in (given, below) if is_below(folder, root)), None)
        if path is None:
            message = f"measure cgroup `{where}`: no such cgroup below {root}"
            raise TargetNotFoundError(message, kind="cgroup", target=str(where), hint="`cat /proc/PID/cgroup` names a process's")
        return cls(path)


def is_below(folder: Path, root: str) -> bool:
    """Whether `folder` is a cgroup of the hierarchy at `root`."""
    return folder.is_dir() and folder.resolve().is_relative_to(Path(root).resolve())


def unified_root() -> str:
    """Return where the cgroup version 2 hierarchy is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return path.replace("\\040", " ")
    message = "measure a cgroup: no cgroup version 2 hierarchy is mounted"
    raise TargetNotFoundError(message, kind="cgroup", hint="mount -t cgroup2 none /sys/fs/cgroup")


def check_task(kind: str, number: int | None) -> None:
    """Refuse the number of a process or thread that does not exist.

    Raises
    ------
    TypeError, ValueError
        If it is not a positive int.
    TargetNotFoundError
        If nothing runs under it.
    """
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool):
        message = f"{kind} must be an int, not {type(number).__name__}"
        raise TypeError(message)
    if number <= 0:
        message = f"{kind} must be positive, not {number}"
        raise ValueError(message)
    # /proc lists processes only, but finds threads by their number too.
    if not Path(f"/proc/{number}").exists():
        what = "process" if kind == "pid" else "thread"
        message = f"measure {kind} {number}: no such {what}"
        raise TargetNotFoundError(message, kind=what, target=str(number), hint="`ps -eLo pid,tid,comm` lists them")


def pid_namespace() -> tuple[int, int]:
    """Return device and inode of this process's pid namespace, or zeros for the kernel's first one."""
    found = os.stat("/proc/self/ns/pid")
    return (0, 0) if found.st_ino == FIRST_PID_NAMESPACE else (found.st_dev, found.st_ino)
