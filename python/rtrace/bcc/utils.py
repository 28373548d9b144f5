"""What scripts import from ``bcc.utils``, under the names they import."""

from __future__ import annotations

import os
import re
import sys

from rtrace.bcc import cpus
from rtrace.bcc.strcmp import StrcmpRewrite as StrcmpRewrite  # noqa: PLC0414  # bcc has it here, too

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, Self

FILESYSTEMENCODING = sys.getfilesystemencoding()

get_online_cpus = cpus.online
get_possible_cpus = cpus.possible

# What a process has mapped tells the language it is written in; the first that fits.
_LANGUAGES = {
    "java": re.compile(r"/libjvm\.so|/java$"),
    "node": re.compile(r"/node$|/libnode\.so"),
    "perl": re.compile(r"/perl[\d.]*$|/libperl\.so"),
    "php": re.compile(r"/php[\d.]*$|/libphp[\d.]*\.so"),
    "python": re.compile(r"/python[\d.]*$|/libpython[\d.]*\.so"),
    "ruby": re.compile(r"/ruby[\d.]*$|/libruby[\d.-]*\.so"),
    "tcl": re.compile(r"/tclsh[\d.]*$|/libtcl[\d.]*\.so"),
}


def printb(s: bytes, file: Any = None, nl: bool = True) -> None:  # noqa: FBT001, FBT002  # bcc's signature
    """Write bytes as they are, and flush."""
    file = sys.stdout if file is None else file
    getattr(file, "buffer", file).write(s + b"\n" if nl else s)
    file.flush()


class ArgString:
    """A command line argument that is both text and bytes; pass it to argparse as a type."""

    def __init__(self, arg: str) -> None:
        self.s = arg

    def __bytes__(self) -> bytes:
        """Return the bytes that the user typed."""
        return os.fsencode(self.s)

    def __str__(self) -> str:
        """Return the text."""
        return self.s


def detect_language(candidates: Collection[str], pid: int) -> str | None:
    """Return which of these languages the program of a process is run by, None if it is none of them."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.rpartition(" ")[2].rstrip("\n") for line in maps}
    for language, pattern in _LANGUAGES.items():
        if language in candidates and any(pattern.search(path) for path in paths):
            return language
    return None


def positive_int(val: str) -> int:
    """Return a number of the command line that is not below zero; pass it to argparse as a type.

    Raises
    ------
    ValueError
        If it is no number.
    argparse.ArgumentTypeError
        If it is below zero.

    Examples
    --------
    >>> positive_int("0")
    0
    """
    number = int(val)
    if number < 0:
        _refuse("must be positive")
    return number


def positive_nonzero_int(val: str) -> int:
    """Return a number of the command line that is above zero; raises as :func:`positive_int` does."""
    number = positive_int(val)
    if not number:
        _refuse("must be nonzero")
    return number


def positive_int_list(val: str) -> list[int]:
    """Return the numbers of a list with commas, each of which :func:`positive_int` takes.

    Examples
    --------
    >>> positive_int_list("9, 15")
    [9, 15]
    """
    return [positive_int(word) for word in val.split(",")]


def _refuse(message: str) -> None:
    from argparse import ArgumentTypeError  # noqa: PLC0415  # who has such a type has imported it

    raise ArgumentTypeError(message)


class disable_stdout(tuple):  # type: ignore[type-arg]  # noqa: N801  # bcc's name
    """Have what is printed go nowhere, from now to the end of a ``with``, or for good.

    Also the pair that bcc's function gives: the stream that was stdout, and a ``printb`` that prints nothing.

    Examples
    --------
    >>> with disable_stdout():
    ...     print("not seen")
    """

    __slots__ = ()

    def __new__(cls) -> Self:
        """Put a stream to nowhere in place of stdout."""
        made = super().__new__(cls, (sys.stdout, _print_nothing))
        sys.stdout = open(os.devnull, "w", buffering=1, encoding="utf-8", errors="replace")  # noqa: SIM115  # closed at the end
        return made

    def __enter__(self) -> Self:
        """Return the pair."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Put stdout back."""
        sys.stdout, nowhere = self[0], sys.stdout
        nowhere.close()


def _print_nothing(s: bytes, file: Any = None, nl: bool = True) -> None:  # noqa: FBT001, FBT002  # that of printb
    del s, file, nl
