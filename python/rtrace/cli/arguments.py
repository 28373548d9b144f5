"""The words of the command line: one parser for each command, whose help is the docstring of its module."""

from __future__ import annotations

import argparse

from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from _typeshed import SupportsWrite

SUFFIXES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Lay out help in 79 columns, whatever the terminal."""

    def __init__(self, prog: str) -> None:
        # Told no width, argparse imports shutil and with it every compression library, for each option anew.
        super().__init__(prog, max_help_position=25, width=79)


class Parser(argparse.ArgumentParser):
    """A parser that leaves the printing of errors to the main function."""

    def __init__(self, command: str, usage: str, documentation: str | None) -> None:
        description, _, examples = (documentation or "").partition("Examples\n--------\n")
        super().__init__(
            prog=f"rtrace {command}",
            usage=f"rtrace {command} {usage}",
            description=description.strip(),
            epilog="examples:\n  " + examples.rstrip().replace("\n", "\n  ") if examples else None,
            formatter_class=Formatter,
            allow_abbrev=False,
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the words of a command line; an interval and a count may stand behind options as well."""
        return self.parse_intermixed_args(args, namespace)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; argparse's own way of writing it hides that the disk is full."""
        print(self.format_help(), end="", file=file)  # printing is what it is for

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise CommandError(message, hint=f"`{self.prog} --help` lists what it takes", exit_code=2)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whose activity counts."""
    parser.add_argument("-p", "--pid", type=positive, help="only this process")
    parser.add_argument("-t", "--tid", type=positive, help="only this thread")
    parser.add_argument("--cgroup", metavar="PATH", help="only this cgroup (version 2) and those below it")


def check_name(target: str) -> None:
    """Refuse what is not the name of a tracepoint."""
    from rtrace import tracefs  # noqa: PLC0415  # not for a command line that is wrong

    try:
        tracefs.split(target)
    except ValueError as error:
        hint = "`rtrace list PATTERN` lists the kernel's tracepoints"
        raise CommandError(str(error), hint=hint, exit_code=2) from error


def seconds(text: str) -> float:
    """Read a time: seconds, or a number with its unit such as ``10us``."""
    number = text.rstrip("nums")
    try:
        value = float(number) * SUFFIXES[text[len(number) :] or "s"]
    except (ValueError, KeyError):
        message = f"{text!r} is not a time; write seconds, or a number with ns, us, ms or s"
        raise argparse.ArgumentTypeError(message) from None
    if not 0 <= value < float("inf"):
        message = f"{text!r} is not a time that can pass"
        raise argparse.ArgumentTypeError(message)
    return value


def span(text: str) -> float:
    """Read a time that is not zero."""
    value = seconds(text)
    if value == 0:
        message = f"{text!r} is no time at all; it must be more than 0"
        raise argparse.ArgumentTypeError(message)
    return value


def positive(text: str) -> int:
    """Read a whole number above zero."""
    try:
        value = int(text)
    except ValueError:
        message = f"{text!r} is not a whole number"
        raise argparse.ArgumentTypeError(message) from None
    if value <= 0:
        message = f"{text!r} must be 1 or more"
        raise argparse.ArgumentTypeError(message)
    return value
