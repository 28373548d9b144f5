"""The ways to time a kernel function, and the choice between them.

``fentry`` is the cheapest and misses nothing, ``kprobe`` is what the kernel has had longest, ``syscall`` times the
system call around the function and works on the most restricted machines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from rtrace import _rtrace
from rtrace.errors import (
    AttachError,
    BtfError,
    LoadError,
    MapError,
    NotSupportedError,
    PrivilegeError,
    RtraceError,
    TargetNotFoundError,
    VerifierError,
)
from rtrace.shapes import suggestions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.shapes.function_latency import Options

log = logging.getLogger(__name__)

ORDER = ("fentry", "kprobe", "syscall")

# Functions that one system call or several enter once each, with nothing between them and user space but the way in.
SYSCALL_TWINS = {
    "vfs_read": ("read", "pread64"),
    "vfs_write": ("write", "pwrite64"),
    "vfs_readv": ("readv", "preadv", "preadv2"),
    "vfs_writev": ("writev", "pwritev", "pwritev2"),
    "vfs_fsync_range": ("fsync", "fdatasync"),
    "do_fsync": ("fsync", "fdatasync"),
    "do_sys_openat2": ("open", "openat", "openat2", "creat"),
    "do_sys_open": ("open", "openat", "openat2", "creat"),
    "vfs_statx": ("statx", "newfstatat", "stat", "lstat"),
    "iterate_dir": ("getdents", "getdents64"),
    "do_nanosleep": ("nanosleep", "clock_nanosleep"),
    "do_epoll_wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
    "do_futex": ("futex",),
}
# What the kernel puts before the name of a system call to name the function that serves it.
SYSCALL_PREFIXES = ("__x64_sys_", "__se_sys_", "__do_sys_", "ksys_", "sys_")
# As many as the global SYSCALLS holds.
MOST_SYSCALLS = 4

STORAGE = {"task": 1, "hash": 0}


class Counted(NamedTuple):
    """One histogram as the kernel keeps it, summed over the CPUs."""

    counts: NDArray[np.uint64]
    sum_ns: int


class Way(NamedTuple):
    """A mechanism's programs, and the links that attach them: the return first, so that no start goes unanswered."""

    programs: Mapping[str, str | None]
    attach: Callable[[_rtrace.Object], list[_rtrace.Link]]
    boundary: str


@dataclasses.dataclass(slots=True)
class Session:
    """The kernel's side of a measurement."""

    mechanism: str
    boundary: str
    storage: str
    filtered: bool
    object: _rtrace.Object
    links: list[_rtrace.Link]

    def histograms(self, by: str | None) -> tuple[Counted, dict[int | str, Counted]]:
        """Read all histograms: the whole, and the parts when calls are split."""
        if by is None:
            _, values = self.object.map("HISTOGRAM").snapshot()
            return counted(values[0]), {}
        keys, values = self.object.map("GROUPS").snapshot()
        parts = {group_name(by, bytes(key)): counted(row) for key, row in zip(keys.tolist(), values, strict=True)}
        whole = Counted(sum_counts(values), int(values["sum_ns"].sum()))
        return whole, parts

    def losses(self) -> dict[str, int]:
        """Return what was lost, by cause; causes that did not occur are left out."""
        lost = self._sums("LOSSES")
        if not self.filtered:
            # The kernel's own counts know nothing of filters; with one, only what the programs saw themselves counts.
            entered, returned = self._missed("entry"), self._missed("return")
            lost["entries_missed"] = entered
            # A missed return shows twice: in the kernel's count at once, in ours when its thread calls again.
            lost["returns_missed"] = max(lost["returns_missed"], returned)
        return {cause: number for cause, number in lost.items() if number}

    def skipped(self) -> dict[str, int]:
        """Return what was left out on purpose."""
        return self._sums("SKIPPED")

    def _sums(self, name: str) -> dict[str, int]:
        _, values = self.object.map(name).snapshot()
        return {field: int(values[field].sum()) for field in values.dtype.names}

    def _missed(self, side: str) -> int:
        """Return how often the kernel did not run our program for that side of the function."""
        missed = 0
        for link in self.links:
            if SIDES.get(link.program) == side:
                missed += (link.missed() or 0) + self.object.program_info(link.program)["recursion_misses"]
        return missed

    def close(self) -> None:
        """Detach: entries first, so that calls under way still find their return."""
        for link in reversed(self.links):
            link.close()
        self.object.close()


SIDES = {
    "fnlat_fentry": "entry",
    "fnlat_kprobe": "entry",
    "fnlat_fexit": "return",
    "fnlat_kretprobe": "return",
}


class Attempt(NamedTuple):
    """A session, and the mechanisms that were refused before it."""

    session: Session
    refused: dict[str, RtraceError]


def attach(options: Options) -> Attempt:
    """Attach by the mechanism that is asked for, or by the first that this kernel and its guards allow."""
    refused: dict[str, RtraceError] = {}
    for mechanism in ORDER if options.mechanism == "auto" else (options.mechanism,):
        try:
            return Attempt(open_session(options, mechanism), refused)
        except PrivilegeError as error:
            if error.missing:
                raise
            refused[mechanism] = error
        except (NotSupportedError, AttachError, LoadError, BtfError) as error:
            refused[mechanism] = error
        log.debug("%s: %s is out: %s", options.target, mechanism, refused[mechanism])
    give_up(options, refused)


def give_up(options: Options, refused: dict[str, RtraceError]) -> NoReturn:
    """Raise the error that helps most."""
    last = next(reversed(refused.values()))
    missing = suggestions.check_function(options.target)
    if missing is not None:
        raise missing from last
    if len(refused) == 1:
        raise last
    reasons = "; ".join(f"{mechanism}: {error}" for mechanism, error in refused.items())
    message = f"time `{options.target}`: no mechanism works here"
    raise AttachError(message, kind="function latency", target=options.target, hint=reasons) from last


def open_session(options: Options, mechanism: str) -> Session:
    """Load and attach by one mechanism; leave nothing behind if that fails."""
    way = WAYS[mechanism](options.target)
    loaded, storage = load(options, way, mechanism)
    with contextlib.ExitStack() as stack:
        stack.callback(loaded.close)
        if options.cgroup is not None:
            set_cgroup(loaded, options.cgroup.path)
        links = way.attach(loaded)
        if storage == "hash":
            links.append(loaded.attach_raw_tracepoint("fnlat_task_exit", "sched_process_exit"))
        stack.pop_all()
    filtered = bool(options.facts())
    return Session(mechanism, way.boundary, storage, filtered, loaded, links)


def load(options: Options, way: Way, mechanism: str) -> tuple[_rtrace.Object, str]:
    """Load the mechanism's programs, with task storage where the kernel has it for tracing programs."""
    try:
        return load_with(options, way, mechanism, "task"), "task"
    except (MapError, VerifierError) as error:
        log.debug("no task storage: %s", error)
        return load_with(options, way, mechanism, "hash"), "hash"


def load_with(options: Options, way: Way, mechanism: str, storage: str) -> _rtrace.Object:
    """Load with start times kept in one of the two storages."""
    spec = _rtrace.ObjectSpec.prebuilt("function_latency")
    options.apply(spec)
    spec.set_global("STORAGE", STORAGE[storage])
    if mechanism == "syscall":
        numbers = [_rtrace.syscall_number(name) for name in syscalls_of(options.target)]
        spec.set_global("SYSCALLS", (*numbers, *[-1] * (MOST_SYSCALLS - len(numbers))))
    spec.disable_map("STARTS" if storage == "task" else "TASK_STARTS")
    programs = dict(way.programs)
    if storage == "hash":
        programs["fnlat_task_exit"] = None
    return spec.load(programs)


def set_cgroup(loaded: _rtrace.Object, path: str) -> None:
    """Hand the kernel the cgroup; its array takes a descriptor of the folder."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded.map("TARGET_CGROUPS").update(0, folder)
    finally:
        os.close(folder)


def attach_all(*attachments: Callable[[], _rtrace.Link]) -> list[_rtrace.Link]:
    """Make the links one after the other; if one fails, close those before it."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(make()) for make in attachments]
        stack.pop_all()
    return links


def fentry(target: str) -> Way:
    """Time by fentry and fexit: the compiler's own hook at the entry, patched to call the programs."""

    def attach(loaded: _rtrace.Object) -> list[_rtrace.Link]:
        return attach_all(
            lambda: loaded.attach_trampoline("fnlat_fexit"),
            lambda: loaded.attach_trampoline("fnlat_fentry"),
        )

    return Way({"fnlat_fentry": target, "fnlat_fexit": target}, attach, f"entry to return of {target}")


def kprobe(target: str) -> Way:
    """Time by a kprobe on the first instruction and a kretprobe that takes the return address's place."""
    if not _rtrace.has_kprobes():
        message = f"time `{target}` by kprobe: this kernel has no kprobes"
        raise NotSupportedError(
            message,
            feature="CONFIG_KPROBES",
            minimum_kernel="4.17",
            running_kernel=os.uname().release,
            hint="use another mechanism, or a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y",
        )

    def attach(loaded: _rtrace.Object) -> list[_rtrace.Link]:
        return attach_all(
            lambda: loaded.attach_kprobe("fnlat_kretprobe", target),
            lambda: loaded.attach_kprobe("fnlat_kprobe", target),
        )

    boundary = f"entry to return of {target}, with part of the probes' own cost"
    return Way({"fnlat_kprobe": None, "fnlat_kretprobe": None}, attach, boundary)


def syscall(target: str) -> Way:
    """Time the system calls that call the function: raw tracepoints at their entry and exit."""
    names = syscalls_of(target)
    if not names:
        message = f"time `{target}` by system calls: no system call stands for it"
        raise NotSupportedError(
            message,
            feature=f"a system call that stands for {target}",
            running_kernel=os.uname().release,
            hint=f"functions with one: {', '.join(SYSCALL_TWINS)}, and __x64_sys_* of every system call",
        )

    def attach(loaded: _rtrace.Object) -> list[_rtrace.Link]:
        return attach_all(
            lambda: loaded.attach_raw_tracepoint("fnlat_sys_exit", "sys_exit"),
            lambda: loaded.attach_raw_tracepoint("fnlat_sys_enter", "sys_enter"),
        )

    boundary = (
        f"entry to exit of the system calls {', '.join(names)}, which call {target}; calls from inside the kernel are not seen"
    )
    return Way({"fnlat_sys_enter": None, "fnlat_sys_exit": None}, attach, boundary)


def syscalls_of(target: str) -> tuple[str, ...]:
    """Return the system calls that stand for a kernel function on this machine."""
    names = SYSCALL_TWINS.get(target)
    if names is None:
        bare = (target.removeprefix(prefix) for prefix in SYSCALL_PREFIXES if target.startswith(prefix))
        names = tuple(bare)[:1]
    return tuple(name for name in names if _rtrace.syscall_number(name) is not None)


WAYS: dict[str, Callable[[str], Way]] = {"fentry": fentry, "kprobe": kprobe, "syscall": syscall}


def sum_counts(values: NDArray[np.void]) -> NDArray[np.uint64]:
    """Add the slots of every row and CPU."""
    counts: NDArray[np.uint64] = values["counts"].reshape(-1, values["counts"].shape[-1]).sum(axis=0)
    return counts


def counted(row: NDArray[np.void]) -> Counted:
    """Add one histogram's parts of every CPU."""
    return Counted(sum_counts(row), int(row["sum_ns"].sum()))


def group_name(by: str, key: bytes) -> int | str:
    """Turn a group's key into what users call it."""
    if by == "comm":
        return key.rstrip(b"\0").decode(errors="replace")
    return int.from_bytes(key[:4], "little")
