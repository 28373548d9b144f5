"""List the kernel's tracepoints that match a pattern.

One tracepoint per line, sorted: its category, a colon, its name. Without a
pattern, all of them. * stands for any characters, ? for one, [ab] for either;
quote patterns from the shell. A pattern without a colon is for the name, in
any category.

`rtrace format CATEGORY:NAME` tells the fields of one, and `rtrace trace
CATEGORY:NAME` shows its events.

Examples
--------
rtrace list 'block:*'
rtrace list 'sched_*' 'syscalls:sys_enter_*'
rtrace list --json | jq -r .category | sort | uniq -c
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import json

from rtrace.cli.arguments import Parser
from rtrace.errors import CommandError


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("list", "[--json] [PATTERN ...]", __doc__)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="CATEGORY:NAME, or pattern as of the shell's")
    parser.add_argument("--json", action="store_true", help="print one JSON object per tracepoint and line")
    arguments = parser.parse_args(words)

    for target in find(arguments.patterns or ["*:*"]):
        category, _, name = target.partition(":")
        shown = {"tracepoint": target, "category": category, "name": name}
        print(json.dumps(shown) if arguments.json else target)
    return 0


def find(patterns: list[str]) -> list[str]:
    """Return the tracepoints that match any of the patterns, sorted."""
    from rtrace.tracefs import tracepoints  # noqa: PLC0415  # not for a command line that is wrong

    wanted: set[str] = set()
    for pattern in patterns:
        found = tracepoints(pattern)
        if not found:
            message = f"list tracepoints that match `{pattern}`: there are none"
            raise CommandError(message, hint=suggest(pattern, tracepoints()))
        wanted.update(found)
    return sorted(wanted)


def suggest(pattern: str, targets: list[str]) -> str | None:
    """Return a hint that names tracepoints which look like the pattern, or what their category has."""
    import difflib  # noqa: PLC0415  # needed only when nothing was found

    if any(target.startswith(f"{pattern}:") for target in targets):
        return f"a category is listed by '{pattern}:*'"
    parts = sum(pattern in target.partition(":")[2] for target in targets)
    if parts:
        return f"a pattern is for whole names; {parts} match '*{pattern}*'"
    category, colon, _ = pattern.partition(":")
    known = {target if colon else target.partition(":")[2]: target for target in targets}
    near = [known[name] for name in difflib.get_close_matches(pattern.strip("*?"), known, n=5, cutoff=0.7)]
    if not near:
        categories = {target.partition(":")[0] for target in targets}
        near = [f"{name}:*" for name in difflib.get_close_matches(category, categories, n=5, cutoff=0.7)]
    return f"did you mean {', '.join(near)}?" if near else None
