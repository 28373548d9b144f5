"""From what a user hands over, a file or a text, to the object that the compiler makes of it."""

from __future__ import annotations

import os
import sys

from rtrace import _rtrace
from rtrace.bcc import debug as show
from rtrace.bcc.names import raw, utf8
from rtrace.bcc.names import text as as_text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from rtrace.bcc.names import Name
    from rtrace.bcc.usdt import USDT


def read_source(src_file: Name, text: Name | None, contexts: Sequence[USDT]) -> tuple[str, str]:
    """Return the name and the text of a source, behind what USDT contexts put in front of it."""
    name = "<text>"
    if src_file:
        name = find_file(as_text(src_file))
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            source = file.read()
    else:
        source = as_text(text if text is not None else "")
    if contexts:
        from rtrace.bcc.usdt import contexts_text  # noqa: PLC0415  # who has contexts has imported it

        source = contexts_text(contexts) + source
    return name, source


def check_debug(debug: int) -> int:
    """Return the flags that say what to show."""
    if not isinstance(debug, int):
        message = f"debug must be a sum of DEBUG_ flags, not {debug!r}"
        raise TypeError(message)
    return debug


def list_contexts(usdt_contexts: Iterable[USDT]) -> list[USDT]:
    """Return the contexts that are given, if they are some."""
    contexts: list[Any] = list(usdt_contexts) if hasattr(usdt_contexts, "__iter__") else [None]
    if contexts:
        from rtrace.bcc.usdt import USDT  # noqa: PLC0415  # who has contexts has imported it

        if not all(isinstance(context, USDT) for context in contexts):
            message = f"usdt_contexts must be a list of USDT objects, not {usdt_contexts!r}"
            raise TypeError(message)
    return contexts


def compile_source(name: str, source: str, cflags: Sequence[Name], debug: int = 0) -> _rtrace.ObjectSpec:
    """Compile a text; headers lie beside the file that it is from."""
    if not isinstance(cflags, (list, tuple)):
        message = f"cflags must be a list of options, not {cflags!r}"
        raise TypeError(message)
    folders = [] if name == "<text>" else [os.path.dirname(name) or "."]
    # From here on it is for messages.
    name = raw(name).decode(errors="replace")
    flags = [utf8(flag, "compiler option") for flag in cflags]
    show.show_source(debug, source, name=name, include_dirs=folders, cflags=flags)
    data = _rtrace.compile_c(source, name=name, include_dirs=folders, cflags=flags)
    return _rtrace.ObjectSpec.parse(data, name)


def find_file(name: str) -> str:
    """Return the path of a source file, which may lie here or beside the script."""
    beside = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), name)
    for path in (name, beside):
        if os.path.isfile(path):
            return path
    message = f"no source file `{name}` here or beside the script"
    raise FileNotFoundError(message)
