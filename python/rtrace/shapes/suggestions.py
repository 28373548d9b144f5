"""What the user may have meant."""

from __future__ import annotations

from rtrace import _rtrace
from rtrace.errors import TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterable

# Letters by which a slip differs from the name.
MOST = 2


def add_to(error: TargetNotFoundError, names: Iterable[str]) -> None:
    """Let an error say which of the names the user may have meant."""
    import difflib  # noqa: PLC0415  # needed only when something went wrong

    # Comparing takes long: only with what has nearly the same letters.
    wanted, letters = error.target or "", set(error.target or "")
    close = [name for name in names if abs(len(name) - len(wanted)) <= MOST and len(letters ^ set(name)) <= MOST]
    error.suggestions = tuple(difflib.get_close_matches(wanted, close, n=5, cutoff=0.7))
    if error.suggestions:
        error.hint = f"did you mean {', '.join(error.suggestions)}?"


def check_function(name: str) -> TargetNotFoundError | None:
    """Return the error for a function that the kernel does not have, with near matches; None if it has it."""
    import difflib  # noqa: PLC0415  # as above

    names = {function for function, _ in _rtrace.kernel_functions()}
    # Without any name the kernel hides them, and says nothing about this one.
    if not names or name in names:
        return None
    near = tuple(difflib.get_close_matches(name, names, n=5, cutoff=0.7))
    hint = f"did you mean {', '.join(near)}?" if near else "`rtrace functions PATTERN` lists the kernel's functions"
    message = f"time `{name}`: the kernel has no such function"
    return TargetNotFoundError(message, kind="function", target=name, suggestions=near, hint=hint)
