"""BPF instructions as text, in the pseudo C of the kernel's own listings, and types as C declares them."""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# include/uapi/linux/bpf_common.h and bpf.h: the classes, sizes and operations that make an opcode.
_SIZES = {0x00: "u32", 0x08: "u16", 0x10: "u8", 0x18: "u64"}
_OPERATIONS = {
    0x00: "+=",
    0x10: "-=",
    0x20: "*=",
    0x30: "/=",
    0x40: "|=",
    0x50: "&=",
    0x60: "<<=",
    0x70: ">>=",
    0x90: "%=",
    0xA0: "^=",
    0xB0: "=",
    0xC0: "s>>=",
}
_COMPARISONS = {
    0x10: "==",
    0x20: ">",
    0x30: ">=",
    0x40: "&",
    0x50: "!=",
    0x60: "s>",
    0x70: "s>=",
    0xA0: "<",
    0xB0: "<=",
    0xC0: "s<",
    0xD0: "s<=",
}
_WIDE, _CALL, _EXIT, _GOTO, _NEGATE, _BYTE_ORDER = 0x18, 0x85, 0x95, 0x05, 0x80, 0xD0
_ATOMIC = 0xC0
_INDIRECT = 0x40
_REGISTER = 0x08


def disassemble(instructions: bytes) -> str:
    """Return a program's instructions as text, one in a line, numbered from 0.

    Examples
    --------
    >>> print(disassemble(bytes.fromhex("b700000000000000 9500000000000000")))
       0: r0 = 0
       1: exit
    """
    return "\n".join(f"{number:4}: {text}" for number, text in instructions_of(instructions))


def instructions_of(instructions: bytes) -> Iterator[tuple[int, str]]:
    """Return an iterator over a program's instructions: number and text."""
    decoded = list(struct.iter_unpack("<BBhi", instructions))
    number = 0
    while number < len(decoded):
        code, registers, offset, immediate = decoded[number]
        if code == _WIDE and number + 1 < len(decoded):
            value = decoded[number + 1][3] << 32 | immediate & 0xFFFF_FFFF
            yield number, f"r{registers & 15} = {value & 0xFFFF_FFFF_FFFF_FFFF:#x} ll"
            number += 2
            continue
        yield number, _one(code, registers & 15, registers >> 4, offset, immediate)
        number += 1


def _one(code: int, target: int, source: int, offset: int, immediate: int) -> str:
    """Return the text of an instruction of one slot."""
    kind = code & 7
    size = _SIZES[code & 0x18]
    if kind == 1:
        return f"r{target} = *({size} *)(r{source} {offset:+})"
    if kind == 2:  # noqa: PLR2004  # the numbers of the classes are their names
        return f"*({size} *)(r{target} {offset:+}) = {immediate}"
    if kind == 3:  # noqa: PLR2004
        operator = "=" if code & 0xE0 != _ATOMIC else "atomic"
        return f"*({size} *)(r{target} {offset:+}) {operator} r{source}"
    if kind == 0:
        place = f"r{source} {immediate:+}" if code & 0xE0 == _INDIRECT else str(immediate)
        return f"r0 = *({size} *)skb[{place}]"
    if kind in {4, 7}:
        return _arithmetic(code, "w" if kind == 4 else "r", target, source, immediate)  # noqa: PLR2004
    return _jump(code, "w" if kind == 6 else "r", target, source, offset, immediate)  # noqa: PLR2004


def _arithmetic(code: int, letter: str, target: int, source: int, immediate: int) -> str:
    operation = code & 0xF0
    if operation == _NEGATE:
        return f"{letter}{target} = -{letter}{target}"
    if operation == _BYTE_ORDER:
        order = "be" if code & _REGISTER else "le"
        return f"r{target} = {order}{immediate} r{target}"
    value = f"{letter}{source}" if code & _REGISTER else str(immediate)
    return f"{letter}{target} {_OPERATIONS.get(operation, '?')} {value}"


def _jump(  # noqa: PLR0913, PLR0917  # the fields of an instruction
    code: int, letter: str, target: int, source: int, offset: int, immediate: int
) -> str:
    if code == _EXIT:
        return "exit"
    if code == _CALL:
        return f"call {immediate}" if source == 0 else f"call pc{immediate + 1:+}"
    if code == _GOTO:
        return f"goto {offset:+}"
    value = f"{letter}{source}" if code & _REGISTER else str(immediate)
    return f"if {letter}{target} {_COMPARISONS.get(code & 0xF0, '?')} {value} goto {offset:+}"


def layout_text(types: dict[str, Any], *, sizes: bool) -> str:
    """Return the key, value and event types of a map as C, with `sizes` also where each member is and its bytes.

    Examples
    --------
    >>> u32 = {"kind": "int", "name": "unsigned int", "size": 4}
    >>> print(layout_text({"key": u32, "value": {"kind": "array", "element": u32, "count": 4}}, sizes=True))
    key: unsigned int;  // 4 bytes
    value: unsigned int [4];  // 16 bytes
    """
    return "\n".join(
        f"{part}: {line}"
        for part in ("key", "value", "event")
        if types.get(part)
        for line in ["\n".join(_declaration(types[part], "", None, "", sizes=sizes))]
    )


def _declaration(kind: dict[str, Any], name: str, offset: int | None, indent: str, *, sizes: bool) -> list[str]:
    dimensions, elements = "", 1
    while kind["kind"] == "array":
        dimensions += f"[{kind['count']}]"
        elements *= int(kind["count"])
        kind = kind["element"]
    called = f" {name}{dimensions}" if name or dimensions else ""
    at = "" if offset is None else f" at {offset}"
    note = f"  // {int(kind['size']) * elements} bytes{at}" if sizes else ""
    if "members" not in kind:
        return [f"{indent}{kind.get('name') or kind['kind']}{called};{note}"]
    head = f"{kind['kind']} {kind['name'] or ''}".rstrip()
    lines = [f"{indent}{head} {{"]
    for member in kind["members"]:
        bits = f" : {member['bits']}" if member["bits"] else ""
        place = member["offset"] // 8
        lines += _declaration(member["type"], f"{member['name'] or ''}{bits}", place, indent + "    ", sizes=sizes)
    return [*lines, f"{indent}}}{called};{note}"]
