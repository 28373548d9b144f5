"""The checks of ``rtrace doctor``, each a small experiment.

Programs are loaded and attached for a moment, files are read. Nothing is concluded from a version where trying can
tell, and a trial that fails for a reason of its own ends as ``unknown``, never as ``missing``.
"""

from __future__ import annotations

import errno
import os
import re

from rtrace import _rtrace
from rtrace.errors import (
    BtfError,
    MapError,
    NotSupportedError,
    PrivilegeError,
    RtraceError,
    TargetNotFoundError,
    VerifierError,
)
from rtrace.shapes import mechanisms, targets
from rtrace.shapes.latency_options import Options
from rtrace.tracefs import format_text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    State = Literal["ok", "missing", "refused", "unknown"]
    # State, what was found, and what can be done about it.
    Verdict = tuple[State, str, str]

TARGET = "vfs_read"
OLDEST_KERNEL = (5, 10)
# First releases with the ring buffer, with the accounting of maps by cgroup, and with task storage for tracing.
RING_BUFFER, CGROUP_ACCOUNTING, TASK_STORAGE = (5, 8), (5, 11), (5, 12)

# A tracepoint that every kernel has.
SURE = "sched:sched_switch"
BTF = "/sys/kernel/btf/vmlinux"
STATUS = "/proc/self/status"
SECURITY = "/sys/kernel/security"
SETTINGS = "/proc/sys/kernel"


def judge(check: Callable[[], Verdict]) -> Verdict:
    """Make a check, and turn what goes wrong into a verdict."""
    try:
        return check()
    except (RtraceError, OSError, ValueError) as error:
        return classify(error)


def classify(error: Exception) -> Verdict:
    """Tell a refusal and a lack from a trial that failed for a reason of its own."""
    hint = getattr(error, "hint", None) or ""
    if isinstance(error, PrivilegeError):
        return "refused", str(error), hint if error.missing else suspects()
    if isinstance(error, NotSupportedError):
        return "missing", str(error), hint
    return "unknown", str(error) if isinstance(error, RtraceError) else f"cannot find out: {error}", hint


class Examination:
    """The checks, in the order in which they are told."""

    def __init__(self) -> None:
        self.chosen: str | None = None
        # What was tried and worked, so that later checks need not ask again.
        self._working: list[str] = []

    def checks(self) -> dict[str, Callable[[], Verdict]]:
        """Return what is to be checked, by name."""
        return {
            "kernel": kernel,
            "capabilities": capabilities,
            "BTF": btf,
            "fentry": lambda: self.try_mechanism("fentry"),
            "kprobe": lambda: self.try_mechanism("kprobe"),
            "syscall": lambda: self.try_mechanism("syscall"),
            "task storage": task_storage,
            "ring buffer": ring_buffer,
            "tracefs": tracefs,
            "kernel symbols": kernel_symbols,
            "lockdown": lockdown,
            "security modules": security_modules,
            "seccomp": seccomp,
            "unprivileged bpf": unprivileged_bpf,
            "perf paranoia": perf_event_paranoid,
            "locked memory": self.locked_memory,
            "cgroup v2": cgroup,
            "pid namespace": pid_namespace,
            "C compiler": compiler,
            "auto": self.choice,
        }

    def try_mechanism(self, mechanism: str) -> Verdict:
        """Attach to vfs_read by one mechanism, and detach."""
        try:
            session = mechanisms.open_session(Options(target=TARGET), mechanism)
        except BtfError as error:
            if os.path.isdir("/sys/kernel") and not os.path.exists(BTF):
                return "missing", f"{error}", "needs a kernel built with CONFIG_DEBUG_INFO_BTF=y"
            raise
        session.close()
        self._working.append(mechanism)
        return "ok", f"attached to {TARGET} and detached", ""

    def locked_memory(self) -> Verdict:
        """Look at the limit that kernels before 5.11 count maps and programs against."""
        if release() >= CGROUP_ACCOUNTING:
            return "ok", "no limit: since Linux 5.11 the memory cgroup accounts for maps", ""
        import resource  # noqa: PLC0415  # only for old kernels

        soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        limit = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft // 1024} KiB"
        if self._working:
            return "ok", f"{limit}; enough for what was tried", ""
        return "unknown", f"{limit}; nothing could be loaded that would show if it is enough", "`ulimit -l unlimited`"

    def choice(self) -> Verdict:
        """Let rtrace choose a mechanism as it would for a user."""
        session, refused = mechanisms.attach(Options(target=TARGET))
        session.close()
        self.chosen = session.mechanism
        causes = "; ".join(f"not by {name}: {classify(error)[0]}, see above" for name, error in refused.items())
        return "ok", f"{TARGET} is timed by {session.mechanism}: {session.boundary}", causes


def release() -> tuple[int, int]:
    """Return the kernel's release as two numbers."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if found is None:
        message = f"release {os.uname().release!r} has no number"
        raise ValueError(message)
    return int(found[1]), int(found[2])


def read(path: str) -> str:
    """Return what a file of the kernel says."""
    with open(path) as file:
        return file.read().strip()


def status(field: str) -> str:
    """Return a line of what the kernel tells of this process."""
    for line in read(STATUS).splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    message = f"{STATUS} has no line {field}"
    raise ValueError(message)


def suspects() -> str:
    """Say who can have refused what the capabilities allow; what was measured to be innocent is left out."""
    left = ["a security module"]
    mode = _rtrace.lockdown()
    if mode != "none":
        left.append("kernel lockdown" if mode is None else f"kernel lockdown ({mode})")
    try:
        filtered = status("Seccomp") != "0"
    except (OSError, ValueError):
        filtered = True
    if filtered:
        left.append("a seccomp filter")
    return f"capabilities are not what is missing: {' or '.join(left)} refuses; whoever runs this machine decides"


def kernel() -> Verdict:
    """Compare the kernel with the oldest that rtrace is made for."""
    name, oldest = os.uname().release, ".".join(map(str, OLDEST_KERNEL))
    if release() < OLDEST_KERNEL:
        return "missing", f"Linux {name} is older than {oldest}", f"needs Linux {oldest} or newer"
    return "ok", f"Linux {name} (oldest supported: {oldest})", ""


def capabilities() -> Verdict:
    """Look for the capabilities that tracing needs."""
    mask = status("CapEff")
    missing = _rtrace.missing_capabilities()
    if missing:
        remedy = f"run as root, or give the interpreter {' and '.join(missing)}"
        return "refused", f"user id {os.geteuid()} lacks {' and '.join(missing)}", remedy
    return "ok", f"CAP_BPF and CAP_PERFMON or CAP_SYS_ADMIN (effective: {mask.lstrip('0')})", ""


def btf() -> Verdict:
    """Read the kernel's description of its own types."""
    if not os.path.isdir("/sys/kernel"):
        return "unknown", "/sys/kernel is not there", "mount sysfs"
    try:
        size = os.stat(BTF).st_size
    except FileNotFoundError:
        return "missing", f"no {BTF}", "fentry needs a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    found = _rtrace.function_parameters(TARGET)
    if found is None:
        return "unknown", f"{size / 1e6:.1f} MB that do not describe {TARGET}", ""
    return "ok", f"{size / 1e6:.1f} MB; {TARGET} has {found} parameters", ""


def task_storage() -> Verdict:
    """Load programs that keep their start times in task storage."""
    remedy = "rtrace keeps start times in a hash instead, which costs more per call"
    try:
        way = mechanisms.WAYS["syscall"](TARGET)
        mechanisms.load_with(Options(target=TARGET), way, "syscall", "task").close()
    except (MapError, VerifierError) as error:
        missing = release() < TASK_STORAGE and error.errno in {errno.EINVAL, errno.EACCES}
        return ("missing" if missing else "unknown"), str(error), remedy
    return "ok", "loaded a program that uses it", ""


def ring_buffer() -> Verdict:
    """Create the object's maps, the ring buffer among them, without any program."""
    spec = _rtrace.ObjectSpec.prebuilt("function_latency")
    Options(target=TARGET).apply(spec)
    spec.disable_map("TASK_STARTS")
    try:
        spec.load({}).close()
    except MapError as error:
        missing = error.map == "EVENTS" and error.errno == errno.EINVAL and release() < RING_BUFFER
        return ("missing" if missing else "unknown"), str(error), "needs Linux 5.8 or newer"
    return "ok", "created one", ""


def tracefs() -> Verdict:
    """Open tracefs, mounted or not, and read what is root's to read."""
    try:
        format_text(SURE)
    except PrivilegeError as error:
        return "refused", str(error), f"tracepoints and `rtrace functions -v` need it: {error.hint}"
    path, mounted = _rtrace.tracefs()
    if mounted:
        return "ok", f"mounted at {path}", ""
    return "ok", "mounted nowhere; rtrace has a mount of its own that nobody else sees", ""


def kernel_symbols() -> Verdict:
    """Count the functions in the kernel's list of symbols."""
    setting = judge(lambda: ("ok", f"kptr_restrict {read(f'{SETTINGS}/kptr_restrict')}", ""))[1]
    names = len(_rtrace.kernel_functions())
    if names == 0:
        return "unknown", f"/proc/kallsyms lists no function; {setting}", "names cannot be checked beforehand"
    return "ok", f"{names} functions in /proc/kallsyms; {setting}", ""


def lockdown() -> Verdict:
    """Ask for the kernel's lockdown mode."""
    mode = _rtrace.lockdown()
    if mode is None:
        return "unknown", f"cannot read {SECURITY}/lockdown: no securityfs mounted, or a kernel without lockdown", ""
    if mode == "confidentiality":
        return "refused", f"mode {mode} forbids to read kernel memory", "boot without lockdown=, or without Secure Boot"
    return "ok", f"mode {mode}", ""


def security_modules() -> Verdict:
    """Ask for the security modules in charge."""
    try:
        return "ok", read(f"{SECURITY}/lsm").replace(",", ", ") or "none", ""
    except OSError as error:
        return "unknown", f"cannot read {SECURITY}/lsm: {error.strerror}", "mounting securityfs there would tell"


def seccomp() -> Verdict:
    """Ask whether the system calls of this process are filtered."""
    mode = status("Seccomp")
    if mode == "0":
        return "ok", "no filter on this process", ""
    filters = f"mode {mode}; what the filter refuses shows in the trials above"
    return "unknown", filters, "in a container, allow bpf and perf_event_open, or seccomp=unconfined"


def unprivileged_bpf() -> Verdict:
    """Read who may use bpf without privilege; tracing may not in any case."""
    setting = read(f"{SETTINGS}/unprivileged_bpf_disabled")
    return "ok", f"unprivileged_bpf_disabled {setting}; tracing needs capabilities whatever it says", ""


def perf_event_paranoid() -> Verdict:
    """Read the setting that keeps unprivileged users from perf events, which kprobes are attached by."""
    setting = read(f"{SETTINGS}/perf_event_paranoid")
    return "ok", f"perf_event_paranoid {setting}; does not concern those with CAP_PERFMON", ""


def compiler() -> Verdict:
    """Look for the compiler that programs in C need."""
    try:
        found = _rtrace.find_compiler()
    except NotSupportedError as error:
        return "missing", "none where the environment says; only programs in C need one", error.hint or ""
    if found is None:
        remedy = "install clang 14 or newer, or `pip install rtrace[clang]`"
        return "missing", "none found; only programs in C need one", remedy
    return "ok", f"{found['path']}: {found['version']}", ""


def cgroup() -> Verdict:
    """Look for the hierarchy that the filter by cgroup needs."""
    try:
        return "ok", f"mounted at {targets.unified_root()}", ""
    except TargetNotFoundError as error:
        return "missing", "no such hierarchy is mounted; only the filter by cgroup needs it", error.hint or ""


def pid_namespace() -> Verdict:
    """Find out whether the kernel's numbers of processes are ours."""
    if targets.pid_namespace() == (0, 0):
        return "ok", "the kernel's first", ""
    return "ok", "one of its own; process numbers are those inside it", ""
