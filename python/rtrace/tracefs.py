"""What tracefs tells of the kernel's tracepoints: their names, and the texts of their ``format`` files.

Source: ``events/CATEGORY/NAME/format`` in tracefs, mounted or not.
"""

from __future__ import annotations

import difflib
import fnmatch
import os

from rtrace import _rtrace, option_checks
from rtrace.errors import TargetNotFoundError

__all__ = ["format_text", "split", "tracepoints"]


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
    found = []
    for category in os.scandir(folder):
        if not category.is_dir():
            continue
        names = (f"{category.name}:{entry.name}" for entry in os.scandir(category.path) if entry.is_dir())
        found += fnmatch.filter(names, pattern)
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
