"""Where in an ELF file an address lies, and the other way round."""

from __future__ import annotations

import struct
from functools import lru_cache

from rtrace.errors import SymbolError

_PT_LOAD = 1
_PT_EXEC = 1


@lru_cache(maxsize=64)
def segments(path: str) -> list[tuple[int, int, int]]:
    """Return offset, address and length in the file of what is mapped to be executed."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            message = f"read `{path}`: not a 64-bit little-endian ELF file"
            raise SymbolError(message)
        start, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
    found = []
    for at in range(0, size * count, size):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", table, at)
        if kind == _PT_LOAD and flags & _PT_EXEC:
            found.append((offset, address, length))
    return found


def offset_of_address(path: str, address: int) -> int:
    """Return the offset in the file of an address of its own symbols."""
    for offset, start, length in segments(path):
        if start <= address < start + length:
            return address - start + offset
    message = f"find address {address:#x} in `{path}`: nothing executable there"
    raise SymbolError(message)


def address_of_offset(path: str, offset: int) -> int:
    """Return the address that the file's own symbols have for an offset."""
    for start, address, length in segments(path):
        if start <= offset < start + length:
            return offset - start + address
    message = f"find offset {offset:#x} in `{path}`: nothing executable there"
    raise SymbolError(message)
