"""Numbers, times and names as users give them, checked before anything is asked of the kernel.

Each check returns the value in the one form that the rest of the package works with, so that a number of numpy's, or of
`decimal`, is as good as one of Python's own. A value of the wrong type is a TypeError that names the option.
"""

from __future__ import annotations

import operator

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterable

# Longest that a clock of nanoseconds in 64 bits can count, in seconds: more than 292 years.
LONGEST = 2**63 / 1e9


def whole(name: str, value: int, what: str, least: int, below: int) -> int:
    """Return a whole number from `least` on and `below` that; `what` says in words what it must be.

    Examples
    --------
    >>> whole("max_groups", 8, "positive and below 16777216", 1, 2**24)
    8
    """
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        message = f"{name} must be a whole number, not {value!r}"
        raise TypeError(message)
    number = operator.index(value)
    if not least <= number < below:
        message = f"{name} must be {what}, not {number}"
        raise ValueError(message)
    return number


def maybe_seconds(name: str, value: float | None, *, zero: bool = False) -> float | None:
    """Return a time in seconds; None stands for no such time."""
    return None if value is None else seconds(name, value, zero=zero)


def seconds(name: str, value: float, *, zero: bool = False) -> float:
    """Return a time that can pass, in seconds; no time at all only where `zero` allows it.

    Examples
    --------
    >>> seconds("duration", 5)
    5.0
    """
    if isinstance(value, bool) or not (hasattr(type(value), "__float__") or hasattr(type(value), "__index__")):
        message = f"{name} must be a time in seconds, not {value!r}"
        raise TypeError(message)
    number = float(value)
    if not 0 <= number < LONGEST or (number == 0 and not zero):
        message = f"{name} must be a {'' if zero else 'positive '}time in seconds, not {value!r}"
        raise ValueError(message)
    return number


def text(name: str, value: str) -> str:
    """Return a text as it is."""
    if not isinstance(value, str):
        message = f"{name} must be a str, not {value!r}"
        raise TypeError(message)
    return value


def names(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """Return names, of which there may be one alone.

    Examples
    --------
    >>> names("key", "dev"), names("key", ["dev", "sector"])
    (('dev',), ('dev', 'sector'))
    """
    if isinstance(value, str):
        return (value,)
    found = tuple(value) if hasattr(type(value), "__iter__") else ()
    if not hasattr(type(value), "__iter__") or not all(isinstance(one, str) for one in found):
        message = f"{name} must be a name or a sequence of names, not {value!r}"
        raise TypeError(message)
    return found


def choice(name: str, value: object, known: tuple[object, ...]) -> None:
    """Refuse what is none of a few known values."""
    if not any(value is one or (isinstance(value, str) and value == one) for one in known):
        message = f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}"
        raise ValueError(message)
