"""The format of a tracepoint as text below 80 columns."""

from __future__ import annotations

import textwrap

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

WIDTH = 79
HEADINGS = ("FIELD", "TYPE", "OFFSET", "SIZE", "NUMPY")
# Columns of numbers stand right.
RIGHT = (False, False, True, True, False)
WORDS = {"hexadecimal": "in hexadecimal", "octal": "in octal", "device": "as major,minor of a device"}


def format_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"{found['tracepoint']} (ID {found['id']}, {found['size']} bytes)"
    own = [cells(field) for field in found["fields"] if not field["common"]]
    common = [cells(field) for field in found["fields"] if field["common"]]
    heading, *rows = table([HEADINGS, *own, *common])
    yield from ("", heading, *rows[: len(own)], *[""] * bool(own and common), *rows[len(own) :])
    for names in found["tables"]:
        yield from ("", *wrapped(named(names)))
    for hint in hints(found):
        yield from ("", *wrapped(hint))
    yield from ("", *wrapped(f"printed as: {found['format_string']!r}"))


def cells(field: dict[str, Any]) -> list[str]:
    """Return a field's row of the table."""
    renamed = "" if field["column"] == field["name"] else f", as {field['column']}"
    return [field["name"], field["c_type"], str(field["offset"]), str(field["size"]), field["numpy"] + renamed]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text as lines of aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [
        [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, RIGHT, strict=True)
        ]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in padded]


def named(names: dict[str, Any]) -> str:
    """Say what one of the kernel's tables calls the values of a field."""
    flags = names["kind"] == "flags"
    part = f" >> {names['shift']}" * bool(names["shift"])
    if names["mask"] is not None:
        part += f" & {names['mask']:#x}"
    values = [f"{value:#x}={name}" if flags and value >= 0 else f"{value}={name}" for value, name in names["values"]]
    # The kernel printed the names of enumerators and not their numbers.
    values += [f"{value}={name}" for value, name in names["unresolved"]]
    return f"{names['field']}{part}, {'flags' if flags else 'symbols'}: {', '.join(values)}"


def hints(found: dict[str, Any]) -> list[str]:
    """Say which fields are to be read in another way than as decimal numbers."""
    given = found["hints"]
    return [
        f"{WORDS[hint]}: {', '.join(field for field, its_hint in given.items() if its_hint == hint)}"
        for hint in dict.fromkeys(given.values())
    ]


def wrapped(text: str) -> list[str]:
    """Break a long line."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
