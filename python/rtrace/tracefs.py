"""What tracefs tells of the kernel's tracepoints: their names, and the texts of their ``format`` files.

Source: ``events/CATEGORY/NAME/format`` in tracefs, mounted or not.
"""

from __future__ import annotations

import contextlib
import errno
import os

from rtrace import _rtrace, option_checks
from rtrace.errors import BtfError, PrivilegeError, TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["format_text", "parse_with_enumerators", "read", "reading", "root", "split", "tracepoints"]

# By their numbers (include/uapi/linux/capability.h): for what is root's to read, and for a mount of our own.
CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_SYS_ADMIN": 21}
TO_READ = ("CAP_DAC_READ_SEARCH",)


def root() -> str:
    """Return where tracefs is: where it is mounted, or a mount of our own.

    Raises
    ------
    PrivilegeError
        If it is mounted for root alone, or nowhere and we may not mount it.
    """
    try:
        return _rtrace.tracefs()[0]
    except PrivilegeError as error:
        missing = lacking(TO_READ if is_mounted() else tuple(CAPABILITIES))
        if not missing:
            raise
        operation = "open tracefs"
        raise refused(operation, error.errno, missing) from error


def is_mounted() -> bool:
    """Whether tracefs is mounted somewhere."""
    with open("/proc/self/mounts") as mounts:
        return any(line.split(" ")[2] == "tracefs" for line in mounts)


def lacking(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the capabilities of these that this process does not have."""
    with open("/proc/self/status") as status:
        mask = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return tuple(name for name in wanted if not mask >> CAPABILITIES[name] & 1)


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Make a refusal to read something of tracefs a PrivilegeError that says what is missing."""
    try:
        yield
    except PrivilegeError:
        raise
    except PermissionError as error:
        # Lockdown says EPERM, and no capability helps against that.
        missing = TO_READ if error.errno == errno.EACCES else ()
        operation = f"read {what} in tracefs"
        raise refused(operation, error.errno, missing) from error


def refused(operation: str, number: int | None, missing: tuple[str, ...]) -> PrivilegeError:
    """Make the error."""
    hint = "`rtrace doctor` tells what refuses: a security module or kernel lockdown"
    if missing:
        hint = (
            f"run as root, give the interpreter {' and '.join(missing)}, or mount tracefs for a group of yours:"
            " mount -t tracefs -o gid=GROUP,mode=750 tracefs /sys/kernel/tracing"
        )
    cause = os.strerror(number or errno.EPERM)
    return PrivilegeError(f"{operation}: {cause}", hint=hint, errno=number, missing=missing)


def events_folder() -> str:
    """Return where tracefs lists the tracepoints."""
    return os.path.join(root(), "events")


def read(category: str, name: str, file: str) -> str:
    """Return what a file of a tracepoint says.

    Raises
    ------
    FileNotFoundError
        If the kernel has no such tracepoint.
    PrivilegeError
        If tracefs cannot be read.
    """
    with (
        reading(f"the {file} of `{category}:{name}`"),
        open(os.path.join(events_folder(), category, name, file)) as text,
    ):
        return text.read()


def tracepoints(pattern: str = "*:*") -> list[str]:
    """List the tracepoints that match a pattern.

    Parameters
    ----------
    pattern
        As for files: ``"block:*"``, ``"*:sched_*"``; a bare word matches names in every category.

    Returns
    -------
    list of str
        ``"category:name"``, sorted.

    Raises
    ------
    PrivilegeError
        If tracefs cannot be read.
    """
    if ":" not in option_checks.text("pattern", pattern):
        pattern = f"*:{pattern}"
    import fnmatch  # noqa: PLC0415  # not needed to attach

    folder = events_folder()
    # Names once: two modules may have the same tracepoint, and tracefs lists both (i915 and xe of Linux 6.12); whoever
    # opens one gets the first.
    found: set[str] = set()
    with reading("the list of tracepoints"):
        for category in os.scandir(folder):
            if not category.is_dir():
                continue
            names = (f"{category.name}:{entry.name}" for entry in os.scandir(category.path) if entry.is_dir())
            found.update(fnmatch.filter(names, pattern))
    return sorted(found)


def split(target: str) -> tuple[str, str]:
    """Take ``"category:name"`` apart.

    Raises
    ------
    TypeError, ValueError
        If it is not of that form.
    """
    if not isinstance(target, str):
        message = f"a tracepoint is named by a str like 'block:block_rq_issue', not {type(target).__name__}"
        raise TypeError(message)
    category, colon, name = target.partition(":")
    if not (category and colon and name) or any(letter in target for letter in "/\0") or ".." in target:
        message = f"{target!r} is not the name of a tracepoint, like 'block:block_rq_issue'"
        raise ValueError(message)
    return category, name


def format_text(target: str) -> str:
    """Return the text of a tracepoint's ``format`` file.

    Parameters
    ----------
    target
        ``"category:name"``.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such tracepoint; near matches are in ``suggestions``.
    PrivilegeError
        If tracefs cannot be read.
    """
    category, name = split(target)
    try:
        return read(category, name, "format")
    except FileNotFoundError:
        known = tracepoints()
    import difflib  # noqa: PLC0415  # needed only when there is no such name

    near = tuple(difflib.get_close_matches(target, known, n=5, cutoff=0.7))
    hint = f"did you mean {', '.join(near)}?" if near else "`rtrace list PATTERN` lists the kernel's tracepoints"
    message = f"trace `{target}`: the kernel has no such tracepoint"
    raise TargetNotFoundError(message, kind="tracepoint", target=target, suggestions=near, hint=hint)


def parse_with_enumerators(text: str) -> dict[str, Any]:
    """Take a format of the running kernel apart; where its tables have enumerators for numbers, BTF has their values.

    BTF is read only if there are such. Those that it does not have stay as they are, and so do all where there is no
    BTF.

    Raises
    ------
    ValueError
        If the text is not a format.
    """
    found = _rtrace.parse_format(text)
    if not found["unknown"]:
        return found
    try:
        known = _rtrace.enumerators(set(found["unknown"]))
    except BtfError:
        return found
    return _rtrace.parse_format(text, known) if known else found
