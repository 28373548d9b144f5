"""The text layouts of bcc's ``print_log2_hist`` and ``print_linear_hist``, to the character.

Pure functions on counts numbered as bcc numbers them: slot i of a log2 histogram covers 2**(i-1) .. 2**i - 1, so that
slot 0 is never filled by ``bpf_log2l`` and never printed.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_STARS = 40
_LAST_NARROW_SLOT = 32


def format_log2(values: Iterable[int], heading: str = "value", *, strip_leading_zero: bool = False) -> str:
    """Lay out a log2 histogram as bcc does.

    Up to slot 32 the layout is narrow, from slot 33 on the wide one for 64-bit bounds.

    Parameters
    ----------
    values
        Count per slot, slot 0 first; at most 65 slots.
    heading
        What the values are, usually the unit: ``"usecs"``.
    strip_leading_zero
        Leave out the rows before the first one that counts something.

    Returns
    -------
    str
        The lines joined by newlines, without one at the end; empty when no slot but slot 0 is used.

    Examples
    --------
    >>> print(format_log2([0, 3, 0, 6], "usecs"))
         usecs               : count     distribution
             0 -> 1          : 3        |********************                    |
             2 -> 3          : 0        |                                        |
             4 -> 7          : 6        |****************************************|
    """
    counts, last, most = _measure(values)
    if last < 1:
        return ""
    if last <= _LAST_NARROW_SLOT:
        lines = [f"     {heading:<19} : count     distribution"]
        digits, width = 10, _STARS
    else:
        lines = [f"               {heading:<29} : count     distribution"]
        digits, width = 20, _STARS // 2

    def row(slot: int) -> str:
        low = 1 << slot >> 1 if slot > 1 else 0
        return f"{low:>{digits}} -> {(1 << slot) - 1:<{digits}} : {_bar(counts[slot], most, width)}"

    return "\n".join(lines + _rows(counts, range(1, last + 1), row, strip_leading_zero=strip_leading_zero))


def format_linear(values: Iterable[int], heading: str = "value", *, strip_leading_zero: bool = False) -> str:
    """Lay out a linear histogram as bcc does.

    Parameters
    ----------
    values
        Count per value, value 0 first.
    heading
        What the values are.
    strip_leading_zero
        Leave out the rows before the first one that counts something.

    Returns
    -------
    str
        The lines joined by newlines, without one at the end; empty when nothing was counted.

    Examples
    --------
    >>> print(format_linear([0, 2, 1], "kbytes", strip_leading_zero=True))
         kbytes        : count     distribution
            1          : 2        |****************************************|
            2          : 1        |********************                    |
    """
    counts, last, most = _measure(values)
    if last < 0:
        return ""
    heading_line = f"     {heading:<13} : count     distribution"

    def row(slot: int) -> str:
        return f"        {slot:<10} : {_bar(counts[slot], most, _STARS)}"

    return "\n".join([heading_line, *_rows(counts, range(last + 1), row, strip_leading_zero=strip_leading_zero)])


def format_section(heading: str, key: object) -> str:
    r"""Lay out the line that bcc prints above each histogram of a split one.

    Characters that would move the terminal's cursor or break the line are escaped, as a thread names itself.

    Examples
    --------
    >>> format_section("comm", "cat")
    '\ncomm = cat'
    """
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(key))
    return f"\n{heading} = {text}"


def _measure(values: Iterable[int]) -> tuple[list[int], int, int]:
    """Return the counts as Python's integers, the last slot in use (-1 if none) and the largest count."""
    counts = [int(value) for value in values]
    return counts, max((slot for slot, count in enumerate(counts) if count > 0), default=-1), max(counts, default=0)


def _rows(counts: Sequence[int], slots: range, row: Callable[[int], str], *, strip_leading_zero: bool) -> list[str]:
    if strip_leading_zero:
        slots = range(next((slot for slot in slots if counts[slot]), slots.stop), slots.stop)
    return [row(slot) for slot in slots]


def _bar(count: int, most: int, width: int) -> str:
    # bcc adds a star while i <= width * count / most - 1 in floating point, which this rounds exactly as it does.
    stars = math.floor(width * count / most - 1) + 1
    return f"{count:<8} |{'*' * stars:<{width}}|"
