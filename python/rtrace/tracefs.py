"""What tracefs tells of the kernel's tracepoints: their names, and the texts of their ``format`` files.

Source: ``events/CATEGORY/NAME/format`` in tracefs, mounted or not.
"""

from __future__ import annotations

import difflib
import fnmatch
import os

from rtrace import _rtrace, option_checks
from rtrace.errors import BtfError, TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

__all__ = ["format_text", "parse_with_enumerators", "split", "tracepoints"]


def events_folder() -> str:
    """Return where tracefs lists the tracepoints."""
    root, _ = _rtrace.tracefs()
    return os.path.join(root, "events")


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
    folder = events_folder()
    # Names once: two modules may have the same tracepoint, and tracefs lists both (i915 and xe of Linux 6.12); whoever
    # opens one gets the first.
    found: set[str] = set()
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
        with open(os.path.join(events_folder(), category, name, "format")) as file:
            return file.read()
    except FileNotFoundError:
        known = tracepoints()
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
