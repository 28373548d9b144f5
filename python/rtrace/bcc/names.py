"""Names as bcc takes and gives them: both str and bytes come in, bytes go out."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    Name = str | bytes


def text(name: Name) -> str:
    """Return a name as str, undecodable bytes escaped as file names have them."""
    return os.fsdecode(name)


def raw(name: Name) -> bytes:
    """Return a name as bytes."""
    return os.fsencode(name)


def utf8(name: Name, what: str) -> str:
    """Return a name that is no path as str; native code knows those of UTF-8 only."""
    found = text(name)
    try:
        found.encode()
    except UnicodeEncodeError:
        message = f"{what} {raw(name)!r} is no UTF-8"
        raise ValueError(message) from None
    return found
