"""List the kernel's functions that match a pattern.

One function per line, sorted, its module in brackets unless it is the
kernel's own. * stands for any characters, ? for one, [ab] for either; quote
patterns from the shell.

With -v a column says whether fentry and kprobe can get at it: `yes` if it is
in tracefs' available_filter_functions, `no` if it is not (inlined, or barred
from tracing), `unknown` if that list cannot be read. --json tells as well.

Examples
--------
rtrace functions 'vfs_*'
rtrace functions -v 'tcp_send*' 'udp_send*'
rtrace functions --json '*' | wc -l
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import fnmatch
import json
import os

from rtrace import _rtrace, tracefs
from rtrace.cli.arguments import Parser
from rtrace.cli.talk import tell
from rtrace.errors import CommandError, RtraceError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Collection

LISTED = "available_filter_functions"
ANSWERS = {True: "yes", False: "no", None: "unknown"}


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("functions", "[options] PATTERN ...", __doc__)
    parser.add_argument("patterns", nargs="+", metavar="PATTERN", help="name, or pattern as of the shell's files")
    parser.add_argument("-v", "--verbose", action="store_true", help="say whether it can be traced")
    parser.add_argument("--json", action="store_true", help="print one JSON object per function and line")
    arguments = parser.parse_args(words)

    functions = find(arguments.patterns)
    traceable = list_traceable() if arguments.verbose or arguments.json else None
    for name, module in functions:
        can_be = None if traceable is None else name in traceable
        label = name if module is None else f"{name} [{module}]"
        if arguments.json:
            print(json.dumps({"name": name, "module": module, "traceable": can_be}))
        else:
            print(f"{label:<50} {ANSWERS[can_be]}" if arguments.verbose else label)
    return 0


def find(patterns: list[str]) -> list[tuple[str, str | None]]:
    """Return name and module of the functions that match any of the patterns, sorted."""
    functions = set(_rtrace.kernel_functions())
    names = {name for name, _ in functions}
    if not names:
        message = "list the kernel's functions: /proc/kallsyms shows none"
        raise CommandError(message)
    wanted: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            message = f"list functions that match `{pattern}`: there are none"
            raise CommandError(message, hint=suggest(pattern, names))
        wanted.update(found)
    return sorted((pair for pair in functions if pair[0] in wanted), key=lambda pair: (pair[0], pair[1] or ""))


def suggest(pattern: str, names: Collection[str]) -> str | None:
    """Return a hint that names functions which look like the pattern, or says how many contain it."""
    parts = sum(pattern in name for name in names)
    if parts:
        return f"a pattern is for whole names; {parts} match '*{pattern}*'"
    import difflib  # noqa: PLC0415  # needed only when nothing was found

    near = difflib.get_close_matches(pattern.strip("*?"), names, n=5, cutoff=0.7)
    return f"did you mean {', '.join(near)}?" if near else None


def list_traceable() -> set[str] | None:
    """Return the names of the functions that can be traced, or None, and say why, if tracefs does not tell."""
    try:
        with tracefs.reading(LISTED), open(os.path.join(tracefs.root(), LISTED)) as file:
            return {line.split()[0] for line in file}
    except (RtraceError, OSError) as error:
        cause = str(error) if isinstance(error, RtraceError) else f"read {LISTED} in tracefs: {error.strerror}"
        tell(f"warning: which can be traced is unknown: {cause}")
        return None
