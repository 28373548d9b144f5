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

from rtrace.cli.arguments import Parser, check_name
from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.tracepoint import TracepointFormat


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
    print(json.dumps(found.facts) if arguments.json else found)
    return 0


def read(target: str) -> str:
    """Return the kernel's text."""
    from rtrace import tracefs  # noqa: PLC0415  # not for a command line that is wrong

    check_name(target)
    return tracefs.format_text(target)


def parse(target: str, text: str) -> TracepointFormat:
    """Return what the text says."""
    from rtrace import tracepoint  # noqa: PLC0415  # not for a command line that is wrong

    try:
        return tracepoint.parse(target, text)
    except ValueError as error:
        raise CommandError(str(error), hint=f"`rtrace format --raw {target}` prints it as it is") from error
