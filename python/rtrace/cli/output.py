"""``-o FILE``: where a result goes, looked at before an hour is spent on what belongs there."""

from __future__ import annotations

import contextlib
import os
import stat

from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse

# How a histogram and events can be stored. What is no regular file, and whose name says nothing, gets the first.
OF_HISTOGRAM = (".npz",)
OF_EVENTS = (".npz", ".parquet", ".csv")
# What `rtrace report` reads of these.
REPORTED = "FILE is what -o saved, as .npz or .parquet; .csv is for other programs"


def check_output(arguments: argparse.Namespace, suffixes: tuple[str, ...], *, prints: bool) -> None:
    """Refuse a file that cannot be written, that the result has no form for, or that is printed into as well."""
    path = arguments.output
    if path is None:
        return
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    except OSError as error:
        raise refused(path, error.strerror) from error
    check_place(path, there)
    if there is not None:
        check_shared(path, there, (1, 2) if prints else (2,))
    check_suffix(path, suffixes, regular=there is None or stat.S_ISREG(there.st_mode))


def check_place(path: str, there: os.stat_result | None) -> None:
    """Refuse what cannot be written, as far as that can be known without opening it."""
    folder = os.path.dirname(os.path.realpath(path))
    if there is None and not os.path.isdir(folder):
        raise refused(path, "no such folder")
    if there is not None and (stat.S_ISDIR(there.st_mode) or stat.S_ISSOCK(there.st_mode)):
        raise refused(path, f"it is a {'folder' if stat.S_ISDIR(there.st_mode) else 'socket'}")
    if not os.access(folder if there is None else path, os.W_OK):
        raise refused(path, "not allowed")


def check_suffix(path: str, suffixes: tuple[str, ...], *, regular: bool) -> None:
    """Refuse a name that promises another form."""
    if regular and not path.endswith(suffixes):
        message = f"argument -o/--output: {path!r} does not end in {', '.join(suffixes)}"
        raise CommandError(message, hint="the end of its name says how the result is stored", exit_code=2)
    if path.endswith(".parquet"):
        import importlib.util  # noqa: PLC0415  # for this alone

        if importlib.util.find_spec("pyarrow") is None:
            raise refused(path, "pyarrow is not installed", hint="pip install pyarrow, or save as .npz")


def check_shared(path: str, there: os.stat_result, descriptors: tuple[int, ...]) -> None:
    """Refuse what else is written to: there the one would be lost in the other."""
    # What goes to /dev/null is not to be kept.
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            keeps = not stat.S_ISCHR(there.st_mode) or os.isatty(descriptor)
            if keeps and os.path.samestat(os.fstat(descriptor), there):
                what = "what is printed" if descriptor == 1 else "what is said about it"
                raise refused(path, f"{what} goes there")


def refused(path: str, cause: str | None, hint: str | None = None) -> CommandError:
    """Make the error."""
    return CommandError(f"save to `{path}`: {cause}", hint=hint)
