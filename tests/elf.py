"""Just enough ELF to look into objects."""

from __future__ import annotations

import struct


def _headers(data: bytes) -> list[tuple[int, ...]]:
    assert data[:5] == b"\x7fELF\x02"
    (at,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    return [struct.unpack_from("<IIQQQQIIQQ", data, at + index * size) for index in range(count)]


def sections(data: bytes) -> dict[str, bytes]:
    """Return the contents of each section by name."""
    headers = _headers(data)
    (names_index,) = struct.unpack_from("<H", data, 0x3E)
    names = headers[names_index][4]

    def name(offset: int) -> str:
        return data[names + offset : data.index(b"\0", names + offset)].decode()

    return {name(header[0]): data[header[4] : header[4] + header[5]] for header in headers}


def strings(btf: bytes) -> set[bytes]:
    """Return the strings of a BTF section."""
    header, at, length = *struct.unpack_from("<I", btf, 4), *struct.unpack_from("<II", btf, 16)
    return set(btf[header + at : header + at + length].split(b"\0"))
