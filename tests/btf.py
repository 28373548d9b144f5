"""BTF read a second time, by other code than rtrace's, so that the two can be compared."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

KERNEL = Path("/sys/kernel/btf/vmlinux")
KEYWORDS = {4: "struct", 5: "union"}
ENUM, ENUM64 = 6, 19


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union; offset and width of a bit field in bits, a width of 0 for others."""

    name: str
    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class Record:
    """A struct or union with a tag."""

    keyword: str
    tag: str
    size: int
    members: tuple[Member, ...]


class Btf:
    """The structs, unions and enumerations of a BTF blob."""

    def __init__(self, data: bytes) -> None:
        _, _, _, header, types, types_length, strings, strings_length = struct.unpack_from("=HBBIIIII", data)
        self.strings = data[header + strings : header + strings + strings_length]
        # The first definition of each tag unless that is an enumeration, and the first enumeration of each enumerator.
        self.records: dict[str, Record] = {}
        self.enumerators: dict[str, int] = {}
        # Older kernels do not say whether an enumeration is signed: all are.
        narrow: dict[str, tuple[int, bool]] = {}
        tells_signs = False
        enumerations = set()
        types += header
        end = types + types_length
        while types < end:
            name, info, size = struct.unpack_from("=III", data, types)
            kind, length, flag = info >> 24 & 31, info & 0xFFFF, info >> 31
            words = {1: 1, 3: 3, 14: 1, 17: 1, 4: 3 * length, 5: 3 * length, 15: 3 * length, ENUM64: 3 * length}
            count = words.get(kind, 2 * length if kind in {ENUM, 13} else 0)
            rest = struct.unpack_from(f"={count}I", data, types + 12)
            types += 12 + 4 * count
            if kind in KEYWORDS and name and length:
                tag = self.string(name)
                if tag not in self.records and tag not in enumerations:
                    self.records[tag] = Record(KEYWORDS[kind], tag, size, self.members(rest, flag))
            elif kind in {ENUM, ENUM64}:
                enumerations.add(self.string(name))
            if kind == ENUM:
                tells_signs |= bool(flag)
                for offset, value in zip(rest[::2], rest[1::2], strict=True):
                    if (enumerator := self.string(offset)) not in self.enumerators:
                        narrow.setdefault(enumerator, (value, bool(flag)))
            elif kind == ENUM64:
                tells_signs = True
                for offset, low, high in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
                    value = high << 32 | low
                    if (enumerator := self.string(offset)) not in narrow:
                        self.enumerators.setdefault(enumerator, value - (value >> 63 << 64) * flag)
        for enumerator, (value, signed) in narrow.items():
            self.enumerators[enumerator] = value - (value >> 31 << 32) * (signed or not tells_signs)

    def string(self, offset: int) -> str:
        return self.strings[offset : self.strings.index(b"\0", offset)].decode()

    def members(self, rest: tuple[int, ...], flag: int) -> tuple[Member, ...]:
        return tuple(
            Member(self.string(name), *((offset & 0xFFFFFF, offset >> 24) if flag else (offset, 0)))
            for name, offset in zip(rest[::3], rest[2::3], strict=True)
        )


def of_object(path: Path) -> Btf:
    """Read the BTF of a relocatable 64-bit ELF."""
    data = path.read_bytes()
    (headers,) = struct.unpack_from("=Q", data, 0x28)
    size, count, names = struct.unpack_from("=HHH", data, 0x3A)
    sections = [struct.unpack_from("=IIQQQQ", data, headers + size * index) for index in range(count)]
    strings = sections[names][4]
    for name, _, _, _, offset, length in sections:
        start = strings + name
        if data[start : data.index(b"\0", start)] == b".BTF":
            return Btf(data[offset : offset + length])
    message = f"no BTF in {path}"
    raise ValueError(message)
