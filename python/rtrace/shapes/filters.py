"""Filters as the programs read them: conditions in a table (``ebpf/common/src/entry.rs``)."""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# As in ebpf/common/src/entry.rs.
ALTERNATIVES = 4
CONDITIONS = 8
CONDITION_BYTES = 24
TEXT_LEN = 16
OPERATORS = {"==": 1, "!=": 2, "<": 3, "<=": 4, ">": 5, ">=": 6, "&": 7, "!&": 8}
SAME_TEXT, OTHER_TEXT = 9, 10


def table(alternatives: Sequence[Sequence[dict[str, Any]]]) -> bytes:
    """Return the table of a filter, which the parser has kept within its bounds."""
    rows = [
        b"".join(map(condition, conditions)).ljust(CONDITIONS * CONDITION_BYTES, b"\0") for conditions in alternatives
    ]
    return b"".join(rows).ljust(ALTERNATIVES * CONDITIONS * CONDITION_BYTES, b"\0")


def condition(parsed: dict[str, Any]) -> bytes:
    """Return one condition as the programs read it."""
    place, value, operator = parsed["place"], parsed["value"], parsed["operator"]
    sources = {"record": 1, "located": 7 if parsed["relative"] else 6, "pid": 2, "tid": 3, "cpu": 4, "comm": 5}
    size = parsed["size"]
    if isinstance(value, bytes):
        # Equal text has the same NUL, unless it fills its field.
        compared = len(value) if operator.endswith("~") else min(len(value) + 1, size)
        if compared > TEXT_LEN:
            message = f"filter on {parsed['field']}: at most {TEXT_LEN - 1} bytes of such a text can be compared"
            raise ValueError(message)
        size, operator = compared, OTHER_TEXT if operator.startswith("!") else SAME_TEXT
        words = value.ljust(TEXT_LEN, b"\0")
    else:
        operator = OPERATORS[operator]
        words = (value & (2**64 - 1)).to_bytes(8, "little").ljust(TEXT_LEN, b"\0")
    signed = parsed["signed"] and not isinstance(value, bytes)
    return struct.pack("=4BI", sources[place], operator, size, signed, parsed["offset"] or 0) + words
