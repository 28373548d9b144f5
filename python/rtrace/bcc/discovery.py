"""What the running kernel has: functions, tracepoints, types and mechanisms."""

from __future__ import annotations

import os

from rtrace import _rtrace
from rtrace.bcc.names import raw, text, utf8
from rtrace.bcc.once import once
from rtrace.errors import BtfError, RtraceError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrace.bcc.names import Name

# Text the compiler put aside, and stubs, that no probe can be attached to or that are no functions of their own.
_NOT_FUNCTIONS = rb".*\.cold(\.\d+)?$|_kbl_addr_|__perf|perf_|__SCT__"
# Before the name of a system call in the name of the function that serves it (CONFIG_ARCH_HAS_SYSCALL_WRAPPER).
_SYSCALL_PREFIXES = {
    "x86_64": b"__x64_sys_",
    "aarch64": b"__arm64_sys_",
    "s390x": b"__s390x_sys_",
    "riscv64": b"__riscv_sys_",
    "loongarch64": b"__loongarch_sys_",
}
# What bcc gives for a member that there is not.
_NO_FIELD = 0xFFFF_FFFF_FFFF_FFFF
_ANY_PREFIX = (*_SYSCALL_PREFIXES.values(), b"__x32_compat_sys_", b"__ia32_compat_sys_", b"__s390_sys_", b"sys_")


def tracefs() -> str:
    """Return the folder of tracefs, which need not be mounted."""
    return _rtrace.tracefs()[0]


def get_kprobe_functions(event_re: Name) -> set[bytes]:
    """Return the kernel's functions that a kprobe can be attached to and that match from their first character.

    Left out are those that the kernel refuses: marked ``notrace`` or on its blacklist.
    """
    import re  # noqa: PLC0415  # takes longer than to attach

    matches = re.compile(raw(event_re)).match
    # Modules stand in brackets among the words of ftrace's list.
    found = {name for name in traceable_functions() if matches(name) and not name.startswith(b"[")}
    is_no_function = re.compile(_NOT_FUNCTIONS).match
    return {name for name in found if not is_no_function(name)} - _blacklist() if found else found


@once
def traceable_functions() -> frozenset[bytes]:
    """Return the functions that can be traced, and their modules; or all functions where the kernel lists no others.

    Ftrace's list has one line for each of some 50,000 functions: it is split in one go.
    """
    try:
        with open(os.path.join(tracefs(), "available_filter_functions"), "rb") as file:
            return frozenset(file.read().split())
    except (OSError, RtraceError):
        return frozenset(raw(name) for name, _ in _rtrace.kernel_functions())


@once
def _blacklist() -> frozenset[bytes]:
    """Return the functions that kprobes refuse, where debugfs tells."""
    try:
        with open("/sys/kernel/debug/kprobes/blacklist", "rb") as file:
            return frozenset(line.split()[1] for line in file)
    except OSError:
        return frozenset()


def get_tracepoints(tp_re: Name) -> list[bytes]:
    """Return the tracepoints, as ``category:name``, that match from their first character."""
    import re  # noqa: PLC0415  # as above

    matches = re.compile(text(tp_re)).match
    events = os.path.join(tracefs(), "events")
    found = []
    for category in os.scandir(events):
        if category.is_dir():
            names = (f"{category.name}:{event.name}" for event in os.scandir(category.path) if event.is_dir())
            found += [raw(name) for name in names if matches(name)]
    return sorted(found)


def tracepoint_exists(category: Name, event: Name) -> bool:
    """Whether the kernel has this tracepoint."""
    return os.path.isdir(os.path.join(tracefs(), "events", text(category), text(event)))


def get_syscall_prefix() -> bytes:
    """Return what stands before a system call's name in the name of the function that serves it."""
    return _SYSCALL_PREFIXES.get(os.uname().machine, b"sys_")


def get_syscall_fnname(name: Name) -> bytes:
    """Return the function that serves a system call."""
    return get_syscall_prefix() + raw(name)


def fix_syscall_fnname(name: Name) -> bytes:
    """Return a function's name with this machine's prefix of system calls in place of another's."""
    function = raw(name)
    for prefix in _ANY_PREFIX:
        if function.startswith(prefix):
            return get_syscall_fnname(function.removeprefix(prefix))
    return function


def kernel_struct_has_field(struct_name: Name, field_name: Name) -> int:
    """Return 1 if one of the kernel's structs has a member, 0 if not, -1 if the kernel tells of no such struct."""
    return _answer(_rtrace.struct_has_member, struct_name, field_name)


def kernel_enum_has_val(enum_name: Name, val_name: Name) -> int:
    """Return 1 if one of the kernel's enumerations has a value, 0 if not, -1 if the kernel tells of no such one."""
    return _answer(_rtrace.enum_has_value, enum_name, val_name)


def kernel_struct_field_size_offset(struct_name: Name, field_name: Name) -> int:
    """Return size and offset of a member of one of the kernel's structs, in bits: ``size << 32 | offset``.

    0xffffffffffffffff if the kernel tells of no such struct or member. Members of unnamed structs within count as the
    struct's own.
    """
    try:
        found = _rtrace.struct_member_bits(utf8(struct_name, "struct"), utf8(field_name, "member"))
    except BtfError:
        found = None
    if found is None:
        return _NO_FIELD
    first, bits = found
    return bits << 32 | first


def _answer(ask: Callable[[str, str], bool | None], name: Name, part: Name) -> int:
    try:
        answer = ask(utf8(name, "type"), utf8(part, "name"))
    except BtfError:
        return -1
    return -1 if answer is None else int(answer)


@once
def support_kfunc() -> bool:
    """Whether programs can be attached by fentry; tried out, as kernels may have it and guards refuse it."""
    try:
        _rtrace.ObjectSpec.prebuilt("function_latency").load({"fnlat_fentry": "vfs_read"}).close()
    except RtraceError:
        return False
    return True


def support_raw_tracepoint() -> bool:
    """Whether there are raw tracepoints, which all kernels have that rtrace works on."""
    return True


@once
def support_raw_tracepoint_in_module() -> bool:
    """Whether raw tracepoints of modules can be attached to."""
    return os.path.isdir("/sys/kernel/btf") or _has_symbol("bpf_trace_modules")


@once
def support_lsm() -> bool:
    """Whether programs can be hooks of the security modules, and are switched on."""
    try:
        with open("/sys/kernel/security/lsm", encoding="ascii") as file:
            return "bpf" in file.read().split(",")
    except OSError:
        return False


@once
def support_fmod_ret() -> bool:
    """Whether programs can keep functions from running."""
    return support_kfunc() and _has_symbol("bpf_fentry_test1")


def _has_symbol(name: str) -> bool:
    return any(found == name for found, _ in _rtrace.kernel_functions())


def find_library(libname: Name, pid: int = 0) -> bytes | None:
    """Return the path of a library by its short name, as a process finds it; None if there is none."""
    found = _rtrace.find_library(utf8(libname, "library"), pid=pid or None)
    return None if found is None else raw(found)
