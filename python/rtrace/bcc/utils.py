"""What scripts import from ``bcc.utils``, under the names they import."""

from __future__ import annotations

import os
import re
import sys

from rtrace.bcc import cpus

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

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
