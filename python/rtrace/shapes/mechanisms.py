"""The ways to time a kernel function, and the choice between them.

``fentry`` is the cheapest and misses nothing, ``kprobe`` is what the kernel has had longest, ``syscall`` times the
system call around the function and works on the most restricted machines.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

from rtrace import _rtrace, tracefs
from rtrace.errors import (
    AttachError,
    BtfError,
    LoadError,
    MapError,
    NotSupportedError,
    PrivilegeError,
    RtraceError,
    VerifierError,
)
from rtrace.shapes.latency_options import MECHANISMS
from rtrace.shapes.session import FunctionSession

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtrace.shapes.latency_options import Options

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


class Way:
    """A mechanism for one function: its programs, how they are attached, and what lies between the time stamps."""

    __slots__ = ("attach", "boundary", "programs")

    def __init__(
        self,
        programs: Mapping[str, str | None],
        attach: Callable[[_rtrace.Object], list[_rtrace.Link]],
        boundary: str,
    ) -> None:
        self.programs = programs
        self.attach = attach
        self.boundary = boundary


def attach(options: Options) -> tuple[FunctionSession, dict[str, RtraceError]]:
    """Attach by the mechanism that is asked for, or by the first that this kernel and its guards allow.

    The links are made return first, so that no start goes unanswered. Returned with the session are the mechanisms
    that were refused before it, and why.
    """
    refused: dict[str, RtraceError] = {}
    for mechanism in MECHANISMS if options.mechanism == "auto" else (options.mechanism,):
        try:
            return open_session(options, mechanism), refused
        except PrivilegeError as error:
            if error.missing:
                raise
            refused[mechanism] = error.with_traceback(None)
        except (NotSupportedError, AttachError, LoadError, BtfError) as error:
            # A traceback would keep every frame alive, the measurement's owner included.
            refused[mechanism] = error.with_traceback(None)
    raise verdict(options, refused)


def verdict(options: Options, refused: dict[str, RtraceError]) -> RtraceError:
    """Return the error that helps most."""
    last = next(reversed(refused.values()))
    from rtrace.shapes import suggestions  # noqa: PLC0415  # needed only when all else has failed

    missing = suggestions.check_function(options.target)
    if missing is not None:
        return missing
    if len(refused) == 1:
        return last
    reasons = "; ".join(f"{mechanism}: {error}" for mechanism, error in refused.items())
    message = f"time `{options.target}`: no mechanism works here"
    return AttachError(message, kind="function latency", target=options.target, hint=reasons)


def open_session(options: Options, mechanism: str) -> FunctionSession:
    """Load and attach by one mechanism; leave nothing behind if that fails."""
    way = WAYS[mechanism](options.target)
    loaded, storage = load(options, way, mechanism)
    with contextlib.ExitStack() as stack:
        stack.callback(loaded.close)
        options.tasks.set_cgroup(loaded)
        ring = stack.enter_context(options.ring.open(loaded)) if options.records else None
        links = way.attach(loaded)
        if storage == "hash":
            links.append(loaded.attach_raw_tracepoint("fnlat_task_exit", "sched_process_exit"))
        stack.pop_all()
    filtered = bool(options.facts())
    return FunctionSession(
        loaded, links, ring, mechanism=mechanism, boundary=way.boundary, storage=storage, filtered=filtered
    )


def load(options: Options, way: Way, mechanism: str) -> tuple[_rtrace.Object, str]:
    """Load the mechanism's programs, with task storage where the kernel has it for tracing programs."""
    try:
        return load_with(options, way, mechanism, "task"), "task"
    except (MapError, VerifierError):
        return load_with(options, way, mechanism, "hash"), "hash"


def load_with(options: Options, way: Way, mechanism: str, storage: str) -> _rtrace.Object:
    """Load with start times kept in one of the two storages."""
    spec = _rtrace.ObjectSpec.prebuilt("function_latency")
    options.apply(spec)
    spec.set_global("STORAGE", STORAGE[storage])
    if mechanism == "syscall":
        numbers = syscalls_of(options.target).values()
        spec.set_global("SYSCALLS", (*numbers, *[-1] * (MOST_SYSCALLS - len(numbers))))
    if mechanism == "fentry" and options.records:
        spec.set_global("ARGUMENTS", _rtrace.function_parameters(options.target) or 0)
    spec.disable_map("STARTS" if storage == "task" else "TASK_STARTS")
    programs = dict(way.programs)
    if storage == "hash":
        programs["fnlat_task_exit"] = None
    return spec.load(programs)


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
    """Time the system calls that call the function, at the tracepoints of their entry and exit.

    Those of the single system calls cost other system calls a third of what the raw tracepoints of all of them cost;
    the latter serve where tracefs cannot be read (bench/RESULTS.md has the numbers).
    """
    names = syscalls_of(target)
    calls = ", ".join(names)
    boundary = f"entry to exit of the system calls {calls}, which call {target}; calls inside the kernel are not seen"
    if not names:
        message = f"time `{target}` by system calls: no system call stands for it"
        raise NotSupportedError(
            message,
            feature=f"a system call that stands for {target}",
            running_kernel=os.uname().release,
            hint=f"functions with one: {', '.join(SYSCALL_TWINS)}, and __x64_sys_* of every system call",
        )

    try:
        tracefs.read("syscalls", f"sys_exit_{next(iter(names))}", "id")
    except (RtraceError, OSError):
        return Way({"fnlat_sys_enter": None, "fnlat_sys_exit": None}, attach_to_all_syscalls, boundary)

    def attach(loaded: _rtrace.Object) -> list[_rtrace.Link]:
        sides = [(f"fnlat_tp_{side}", f"sys_{side}_{name}") for side in ("exit", "enter") for name in names]
        return attach_all(*(partial(loaded.attach_tracepoint, program, "syscalls", name) for program, name in sides))

    return Way({"fnlat_tp_enter": None, "fnlat_tp_exit": None}, attach, boundary)


def attach_to_all_syscalls(loaded: _rtrace.Object) -> list[_rtrace.Link]:
    """Attach where every system call passes; programs run for all of them then, but no tracefs is needed."""
    return attach_all(
        lambda: loaded.attach_raw_tracepoint("fnlat_sys_exit", "sys_exit"),
        lambda: loaded.attach_raw_tracepoint("fnlat_sys_enter", "sys_enter"),
    )


def syscalls_of(target: str) -> dict[str, int]:
    """Return the system calls that stand for a kernel function on this machine, with their numbers."""
    names = SYSCALL_TWINS.get(target)
    if names is None:
        bare = (target.removeprefix(prefix) for prefix in SYSCALL_PREFIXES if target.startswith(prefix))
        names = tuple(bare)[:1]
    numbers = {name: _rtrace.syscall_number(name) for name in names}
    return {name: number for name, number in numbers.items() if number is not None}


WAYS: dict[str, Callable[[str], Way]] = {"fentry": fentry, "kprobe": kprobe, "syscall": syscall}
