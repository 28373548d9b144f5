"""Descriptions of C types, as `ObjectSpec.types` gives them."""

from __future__ import annotations

from typing import Any


def number(name: str, size: int, *, signed: bool = False, char: bool = False, boolean: bool = False) -> dict[str, Any]:
    return {"kind": "int", "name": name, "size": size, "signed": signed, "char": char, "bool": boolean}


CHAR = number("char", 1, signed=True, char=True)
U8, U16, U32, U64 = (number(f"u{8 * size}", size) for size in (1, 2, 4, 8))
S32, S64 = number("int", 4, signed=True), number("long long", 8, signed=True)
U128 = number("unsigned __int128", 16)
BOOL = number("bool", 1, boolean=True)


def array(element: dict[str, Any], count: int) -> dict[str, Any]:
    return {"kind": "array", "element": element, "count": count}


def member(name: str | None, byte: float, kind: dict[str, Any], bits: int = 0) -> dict[str, Any]:
    return {"name": name, "offset": int(byte * 8), "bits": bits, "type": kind}


def struct(name: str | None, size: int, *members: dict[str, Any], kind: str = "struct") -> dict[str, Any]:
    return {"kind": kind, "name": name, "size": size, "members": list(members)}
