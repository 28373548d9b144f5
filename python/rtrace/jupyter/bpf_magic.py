"""The cell magic ``%%bpf``: compile the cell, load it, and bind what comes of it to a name."""

from __future__ import annotations

import keyword
import shlex
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtrace.bcc.bpf import BPF
from rtrace.errors import RtraceError
from rtrace.jupyter.listing import Listing
from rtrace.jupyter.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "%%bpf [NAME] [--debug] [--cflags FLAG ...]"


@dataclass(frozen=True, slots=True)
class Options:
    """What stands behind ``%%bpf``.

    Attributes
    ----------
    name
        Variable for the BPF object.
    cflags
        Options for the compiler.
    debug
        Whether to show the programs' instructions.
    """

    name: str = "b"
    cflags: Sequence[str] = ()
    debug: bool = field(default=False, kw_only=True)


def parse(line: str) -> Options:
    """Take the line of the magic apart.

    Raises
    ------
    ValueError
        If it is not as USAGE says.

    Examples
    --------
    >>> parse("reads --cflags -DSLOT=3 -Wall --debug")
    Options(name='reads', cflags=['-DSLOT=3', '-Wall'], debug=True)
    """
    words = shlex.split(line)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    end = next((number for number, word in enumerate(words) if word.partition("=")[0] == "--cflags"), len(words))
    names, flags = words[:end], words[end:]
    cflags: list[str] = []
    if flags:
        # Also in one word: --cflags="-DA=1 -Wall".
        first = flags[0].partition("=")[2]
        cflags = [flag for word in (first, *flags[1:]) for flag in shlex.split(word)]
        if not cflags:
            message = f"--cflags without a flag; usage: {USAGE}"
            raise ValueError(message)
    if len(names) > 1 or (names and (not names[0].isidentifier() or keyword.iskeyword(names[0]))):
        message = f"not the name of a variable: {' '.join(names)!r}; usage: {USAGE}"
        raise ValueError(message)
    return Options(names[0] if names else "b", cflags, debug=debug)


def register(shell: Any) -> None:
    """Make ``%%bpf`` known to an IPython shell."""

    def bpf(line: str, cell: str) -> None:
        """Compile the cell, a program in bcc's C, load it, and bind the BPF object to a name.

        %%bpf [NAME] [--debug] [--cflags FLAG ...]

        NAME is the variable (default: b). A BPF object that it held before is closed first, so that a cell that is
        run again leaves nothing attached. What stands behind --cflags is for the compiler. --debug shows the
        instructions of every program. Values of Python can be had in the line: --cflags -DPID={os.getpid()}.
        """
        from IPython.core.error import UsageError  # noqa: PLC0415  # there, since IPython called
        from IPython.display import display  # noqa: PLC0415

        try:
            options = parse(line)
        except ValueError as error:
            raise UsageError(str(error)) from None
        held = shell.user_ns.get(options.name)
        if isinstance(held, BPF):
            held.close()
            # Should this program be refused, nobody takes the one before it for it.
            del shell.user_ns[options.name]
        # The line of the magic is the cell's first: so the compiler's numbers are those beside the cell.
        source = f"\n{cell}"
        began = time.monotonic()
        try:
            made = BPF(text=source, cflags=options.cflags)
        except RtraceError as error:
            refusal = Refusal(error, source)
            display(refusal)
            # IPython asks for this instead of laying out a traceback, of which no line is the user's.
            error._render_traceback_ = refusal.headline  # type: ignore[attr-defined]
            raise
        seconds = time.monotonic() - began
        shell.push({options.name: made})
        display(made)
        if options.debug:
            display(Listing(made, seconds))

    shell.register_magic_function(bpf, magic_kind="cell", magic_name="bpf")
