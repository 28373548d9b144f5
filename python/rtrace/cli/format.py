"""Show the fields of a tracepoint.

Tells for each field its C type, its place in the kernel's record (offset and
size in bytes) and the numpy type of its column in a trace; then the fields
that all tracepoints have. Below stand the names of values that the kernel
gives, and the format in which it would print the fields.

A column is called like its field, with an underscore behind it if `rtrace
trace` has a column of that name already (pid, tid, comm, cpu).

Examples
--------
rtrace format block:block_rq_issue
rtrace format --raw sched:sched_switch
rtrace format --json writeback:writeback_queue | jq -r '.fields[].name'
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import json
import textwrap

from rtrace.cli.arguments import Parser, check_name
from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

WIDTH = 79
HEADINGS = ("FIELD", "TYPE", "OFFSET", "SIZE", "NUMPY")
# Columns of numbers stand right.
RIGHT = (False, False, True, True, False)
WORDS = {"hexadecimal": "in hexadecimal", "octal": "in octal", "device": "as major,minor of a device"}


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("format", "[--json | --raw] CATEGORY:NAME", __doc__)
    parser.add_argument("target", metavar="CATEGORY:NAME", help="the tracepoint; `rtrace list` lists them")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--json", action="store_true", help="print one JSON object")
    ways.add_argument("--raw", action="store_true", help="print the kernel's own file as it is")
    arguments = parser.parse_args(words)

    text = read(arguments.target)
    if arguments.raw:
        print(text, end="")
        return 0
    found = parse(arguments.target, text)
    print(json.dumps(found) if arguments.json else "\n".join(lines(found)))
    return 0


def read(target: str) -> str:
    """Return the kernel's text."""
    from rtrace import tracepoints  # noqa: PLC0415  # not for a command line that is wrong

    check_name(target)
    return tracepoints.format_text(target)


def parse(target: str, text: str) -> dict[str, Any]:
    """Return what the text says, as plain objects that fit JSON."""
    from rtrace import _rtrace  # noqa: PLC0415  # not for a command line that is wrong

    try:
        found = _rtrace.parse_format(text)
    except ValueError as error:
        message = f"read the format of `{target}`: {error}"
        raise CommandError(message, hint=f"`rtrace format --raw {target}` prints it as it is") from error
    del found["dtype"]
    for field in found["fields"]:
        field["column"], field["numpy"] = column(field)
    return {"tracepoint": target, **found}


def column(field: dict[str, Any]) -> tuple[str, str]:
    """Return name and numpy type of a field's column in a trace."""
    from rtrace.shapes import record_plan  # noqa: PLC0415  # not for a command line that is wrong

    plan = record_plan.Plan([field], max_text=64, max_array=64)
    name = next(name for name in plan.columns if name not in record_plan.HEADER)
    plain = plan.columns[name][0]
    if isinstance(plain, str):
        return name, plain.removeprefix("=")
    element, shape = plain
    return name, f"{element.removeprefix('=')}[{shape[0]}]"


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"{found['tracepoint']} (ID {found['id']}, {found['size']} bytes)"
    own = [cells(field) for field in found["fields"] if not field["common"]]
    common = [cells(field) for field in found["fields"] if field["common"]]
    heading, *rows = table([HEADINGS, *own, *common])
    yield from ("", heading, *rows[: len(own)], *[""] * bool(own and common), *rows[len(own) :])
    for names in found["tables"]:
        yield from ("", *named(names))
    for hint in dict.fromkeys(found["hints"].values()):
        fields = [field for field, its_hint in found["hints"].items() if its_hint == hint]
        yield from ("", *wrapped(f"{WORDS[hint]}: {', '.join(fields)}"))
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


def named(names: dict[str, Any]) -> list[str]:
    """Say what one of the kernel's tables calls the values of a field."""
    flags = names["kind"] == "flags"
    part = f" >> {names['shift']}" * bool(names["shift"])
    if names["mask"] is not None:
        part += f" & {names['mask']:#x}"
    values = [f"{value:#x}={name}" if flags and value >= 0 else f"{value}={name}" for value, name in names["values"]]
    # The kernel printed the names of enumerators and not their numbers.
    values += [f"{value}={name}" for value, name in names["unresolved"]]
    return wrapped(f"{names['field']}{part}, {'flags' if flags else 'symbols'}: {', '.join(values)}")


def wrapped(text: str) -> list[str]:
    """Break a long line."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
