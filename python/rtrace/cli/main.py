"""Measure what the Linux kernel does, through eBPF, without a compiler."""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

import importlib
import os
import sys

from rtrace.cli.talk import tell
from rtrace.errors import CommandError, RtraceError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import types

# Each is a module of this package, with a docstring that is its help, and a function `main`.
COMMANDS = (
    "vfsreadlat", "funclatency", "urandomread", "disksnoop", "latency", "trace",
    "list", "format", "functions", "report", "compile", "doctor",
)  # fmt: skip

# What a shell reports of a program that SIGPIPE ended.
BROKEN_PIPE = 141

OVERVIEW = """\
usage: rtrace COMMAND [options] ...
{summary}
Commands:
{commands}

`rtrace COMMAND --help` tells more about one; `rtrace --version` prints the
version. Tracing needs root, or the capabilities CAP_BPF and CAP_PERFMON.

Environment:
  RTRACE_TRACEBACK=1  end errors with Python's traceback
"""


def main(arguments: list[str]) -> int:
    """Run one command; the only place where errors are printed."""
    try:
        status = dispatch(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return BROKEN_PIPE
    except (RtraceError, OSError) as error:
        if os.environ.get("RTRACE_TRACEBACK"):
            raise
        return complain(error)
    return status


def dispatch(arguments: list[str]) -> int:
    """Find the command and let it do its work."""
    if not arguments:
        tell(overview().rstrip("\n"))
        return 2
    name, *rest = arguments
    if name in {"-h", "--help", "help"}:
        print(overview(), end="")
        return 0
    if name == "--version":
        from rtrace._rtrace import __version__  # noqa: PLC0415  # the commands load it when they need it

        print(f"rtrace {__version__}")
        return 0
    if name not in COMMANDS:
        what = "option" if name.startswith("-") else "command"
        message = f"no such {what}: `{name}`"
        if what == "option":
            hint = "`rtrace --help` tells what there is; the options of a command stand behind it"
            raise CommandError(message, hint=hint, exit_code=2)
        raise CommandError(message, hint=f"there are {', '.join(COMMANDS)}", exit_code=2)
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # A thread names itself as it likes, also in characters that the terminal's encoding does not have.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = load(name).main(rest)
    except SystemExit as finished:  # argparse has printed the help
        return int(finished.code or 0)
    return status


def load(name: str) -> types.ModuleType:
    """Import the module of a command."""
    return importlib.import_module(f"rtrace.cli.{name}")


def overview() -> str:
    """Return the help of the program as a whole."""
    commands = ((name, (load(name).__doc__ or "").partition("\n")[0]) for name in COMMANDS)
    listed = "\n".join(f"  {name:<13}{summary}".rstrip() for name, summary in commands)
    # Python leaves docstrings out with -OO.
    return OVERVIEW.format(summary=f"\n{__doc__}\n" if __doc__ else "", commands=listed)


def complain(error: RtraceError | OSError) -> int:
    """Print an error and its hint; return the exit status."""
    text, hint = str(error), getattr(error, "hint", None)
    if not isinstance(error, RtraceError) and error.strerror:
        text = f"`{error.filename}`: {error.strerror}" if error.filename else error.strerror
    tell(f"rtrace: error: {text}")
    if hint:
        tell(f"hint: {hint}")
    return error.exit_code if isinstance(error, CommandError) else 1


def discard_output() -> None:
    """Leave nothing that Python would try to write to the broken pipe when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
