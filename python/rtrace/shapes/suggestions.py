"""What the user may have meant."""

from __future__ import annotations

import difflib

from rtrace import _rtrace
from rtrace.errors import TargetNotFoundError


def check_function(name: str) -> TargetNotFoundError | None:
    """Return the error for a function that the kernel does not have, with near matches; None if it has it."""
    names = {function for function, _ in _rtrace.kernel_functions()}
    # Without any name the kernel hides them, and says nothing about this one.
    if not names or name in names:
        return None
    near = tuple(difflib.get_close_matches(name, names, n=5, cutoff=0.7))
    hint = f"did you mean {', '.join(near)}?" if near else "`rtrace functions PATTERN` lists the kernel's functions"
    message = f"time `{name}`: the kernel has no such function"
    return TargetNotFoundError(message, kind="function", target=name, suggestions=near, hint=hint)
