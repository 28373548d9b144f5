"""Whom to measure: processes, threads and cgroups, checked before anything is attached."""

from __future__ import annotations

import os

from rtrace import _rtrace, option_checks
from rtrace.errors import NotSupportedError, TargetNotFoundError

# Inode of the kernel's first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
FIRST_PID_NAMESPACE = 0xEFFFFFFC


class Tasks:
    """Whose activity counts: everybody's, or that of one process, thread or cgroup.

    Parameters
    ----------
    pid, tid
        A process, a thread, numbered as in this process's pid namespace.
    cgroup
        A version 2 cgroup: its folder, its path below the hierarchy's root, or its id. Those below it count too.

    Raises
    ------
    TypeError, ValueError
        If a number is none.
    TargetNotFoundError
        If there is no such task or cgroup.
    """

    __slots__ = ("cgroup", "pid", "tid")

    def __init__(self, pid: int | None, tid: int | None, cgroup: str | os.PathLike[str] | int | None) -> None:
        self.pid = None if pid is None else check_task("pid", pid)
        self.tid = None if tid is None else check_task("tid", tid)
        self.cgroup = None if cgroup is None else find_cgroup(cgroup)

    def facts(self) -> dict[str, object]:
        """Return the filters that are on, for the result."""
        facts = {"pid": self.pid, "tid": self.tid, "cgroup": self.cgroup}
        return {name: value for name, value in facts.items() if value is not None}

    def apply(self, spec: _rtrace.ObjectSpec) -> None:
        """Write the filters into an object's globals; what is off costs nothing in the kernel."""
        spec.set_global("TARGET_PID", self.pid or 0)
        spec.set_global("TARGET_TID", self.tid or 0)
        spec.set_global("FILTER_CGROUP", int(self.cgroup is not None))
        spec.set_global("PID_NAMESPACE", pid_namespace())

    def set_cgroup(self, loaded: _rtrace.Object) -> None:
        """Hand the loaded programs the cgroup, if there is one; their array takes a descriptor of the folder."""
        if self.cgroup is None:
            return
        folder = os.open(self.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            loaded.map("TARGET_CGROUPS").update(0, folder)
        finally:
            os.close(folder)


# How the kernel gets from a task and a file descriptor to the number of the device behind it.
DEVICE_PATH = (
    ("task_struct", "files"),
    ("files_struct", "fdt"),
    ("fdtable", "fd"),
    ("file", "f_inode"),
    ("inode", "i_rdev"),
)
# The kernel's dev_t: the minor number has the lower 20 bits.
MINOR_BITS = 20


def set_device(spec: _rtrace.ObjectSpec, device: tuple[int, int]) -> None:
    """Let only system calls on descriptors of a device count, given by its major and minor number.

    Raises
    ------
    BtfError, NotSupportedError
        If the kernel's BTF does not tell where its structs have their members.
    """
    found = [_rtrace.struct_member(*step) for step in DEVICE_PATH]
    missing = [".".join(step) for step, place in zip(DEVICE_PATH, found, strict=True) if place is None]
    if missing:
        message = f"filter by device {device}: the kernel's BTF has no {', '.join(missing)}"
        raise NotSupportedError(message, feature="BTF of struct file")
    offsets = tuple(place[0] for place in found if place is not None)
    spec.set_global("DEVICE_PATH", offsets)
    spec.set_global("TARGET_DEVICE", device[0] << MINOR_BITS | device[1])


def find_cgroup(where: str | os.PathLike[str] | int) -> str:
    """Return the folder of a cgroup (version 2), given that, its path below the hierarchy's root, or its id.

    Raises
    ------
    TypeError, ValueError
        If it is neither a path nor a number.
    TargetNotFoundError
        If there is no such cgroup, or no version 2 hierarchy is mounted.
    """
    root = unified_root()
    if isinstance(where, (str, bytes, os.PathLike)):
        given = os.fsdecode(where)
        if not given:
            # Taken for a path below the root, it would mean everybody.
            message = "cgroup must be a path or the id of a cgroup, not empty"
            raise ValueError(message)
        folders = (folder for folder in (given, os.path.join(root, given.lstrip("/"))) if is_below(folder, root))
    else:
        number = option_checks.whole("cgroup", where, "a path or the id of a cgroup", 1, 2**64)
        folders = (folder for folder, _, _ in os.walk(root) if os.stat(folder).st_ino == number)
    found = next(folders, None)
    if found is None:
        message = f"measure cgroup `{where}`: no such cgroup below {root}"
        hint = "`cat /proc/PID/cgroup` names the cgroup of a process"
        raise TargetNotFoundError(message, kind="cgroup", target=str(where), hint=hint)
    return found


def is_below(folder: str, root: str) -> bool:
    """Whether `folder` is a cgroup of the hierarchy at `root`."""
    return os.path.isdir(folder) and os.path.commonpath([os.path.realpath(folder), os.path.realpath(root)]) == root


def unified_root() -> str:
    """Return where the cgroup version 2 hierarchy is mounted."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, path, kind, *_ = line.split(" ")
            if kind == "cgroup2":
                return path.replace("\\040", " ")
    message = "measure a cgroup: no cgroup version 2 hierarchy is mounted"
    raise TargetNotFoundError(message, kind="cgroup", hint="mount -t cgroup2 none /sys/fs/cgroup")


def check_task(kind: str, number: int) -> int:
    """Return the number of a process or thread that exists.

    Raises
    ------
    TypeError, ValueError
        If it is not a positive int.
    TargetNotFoundError
        If nothing runs under it.
    """
    number = option_checks.whole(kind, number, "positive and below 2**31", 1, 2**31)
    # /proc lists processes only, but finds threads by their number too.
    if not os.path.exists(f"/proc/{number}"):
        what = "process" if kind == "pid" else "thread"
        message = f"measure {kind} {number}: no such {what}"
        raise TargetNotFoundError(message, kind=what, target=str(number), hint="`ps -eLo pid,tid,comm` lists them")
    return number


def pid_namespace() -> tuple[int, int]:
    """Return device and inode of this process's pid namespace, or zeros for the kernel's first one."""
    found = os.stat("/proc/self/ns/pid")
    return (0, 0) if found.st_ino == FIRST_PID_NAMESPACE else (found.st_dev, found.st_ino)
