"""BTF read a second time, by other code than rtrace's, so that the two can be compared."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        _, _, _, header, types, types_length, strings, strings_length = struct.unpack_from("=HBBIIIII", data)
        # A module's strings go on where the kernel's end.
        self.strings: bytes = (base.strings if base else b"") + data[
            header + strings : header + strings + strings_length
        ]
        # The first definition of each tag unless that is an enumeration, and the first value of each enumerator.
        self.records: dict[str, Record] = {}
        self.enumerators: dict[str, int] = {}
        blob = list(split(data[header + types : header + types + types_length]))
        # Older kernels do not say whether an enumeration is signed: all are.
        tells_signs = any((kind == ENUM and flag) or kind == ENUM64 for kind, flag, *_ in blob)
        self.enumerations: set[str] = set()
        for kind, flag, name, size, rest in blob:
            tag = self.string(name)
            if kind in KEYWORDS and tag and rest and tag not in self.records and tag not in self.enumerations:
                self.records[tag] = Record(KEYWORDS[kind], tag, size, self.members(rest, flag))
            elif kind in {ENUM, ENUM64}:
                self.enumerations.add(tag)
                self.add_enumerators(kind, rest, signed=bool(flag) or not tells_signs)

    def add_enumerators(self, kind: int, rest: tuple[int, ...], *, signed: bool) -> None:
        wide = kind == ENUM64
        step, bits = (3, 64) if wide else (2, 32)
        for at in range(0, len(rest), step):
            value = rest[at + 1] | (rest[at + 2] << 32 if wide else 0)
            self.enumerators.setdefault(self.string(rest[at]), value - (value >> (bits - 1) << bits) * signed)

    def string(self, offset: int) -> str:
        return self.strings[offset : self.strings.index(b"\0", offset)].decode()

    def members(self, rest: tuple[int, ...], flag: int) -> tuple[Member, ...]:
        return tuple(
            Member(self.string(name), *((offset & 0xFFFFFF, offset >> 24) if flag else (offset, 0)))
            for name, offset in zip(rest[::3], rest[2::3], strict=True)
        )


def split(types: bytes) -> Iterator[tuple[int, int, int, int, tuple[int, ...]]]:
    """Return kind, flag, name, size or type, and the other words of each type."""
    at = 0
    while at < len(types):
        name, info, size = struct.unpack_from("=III", types, at)
        kind, length = info >> 24 & 31, info & 0xFFFF
        words = {1: 1, 3: 3, 14: 1, 17: 1, 4: 3 * length, 5: 3 * length, 15: 3 * length, ENUM64: 3 * length}
        count = words.get(kind, 2 * length if kind in {ENUM, 13} else 0)
        yield kind, info >> 31, name, size, struct.unpack_from(f"={count}I", types, at + 12)
        at += 12 + 4 * count


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
