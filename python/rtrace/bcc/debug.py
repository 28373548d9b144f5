"""What ``BPF(debug=...)`` shows on stderr: a program on its way into the kernel."""

from __future__ import annotations

import sys

from rtrace import _rtrace
from rtrace.bcc import enums
from rtrace.bcc.disassembler import instructions_of
from rtrace.errors import VerifierError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence

# Programs are verified once more to see what these flags ask for.
_PROGRAMS = enums.DEBUG_BPF | enums.DEBUG_SOURCE | enums.DEBUG_BPF_REGISTER_STATE
_VERIFIER = enums.DEBUG_BPF | enums.DEBUG_BPF_REGISTER_STATE


def show_source(
    flags: int, source: str | bytes, *, name: str, include_dirs: Sequence[str], cflags: Sequence[str]
) -> None:
    """Show the rewritten C (``DEBUG_PREPROCESSOR``) and LLVM's intermediate language (``DEBUG_LLVM_IR``)."""
    stages = ((enums.DEBUG_PREPROCESSOR, "rewritten"), (enums.DEBUG_LLVM_IR, "llvm"))
    for flag, stage in stages:
        if flags & flag:
            _say(_rtrace.show_c(source, stage, name=name, include_dirs=include_dirs, cflags=cflags))


def load(flags: int, spec: _rtrace.ObjectSpec) -> _rtrace.Object:
    """Load an object without its programs; show what the loader says of its types and maps (``DEBUG_BTF``)."""
    if not flags & enums.DEBUG_BTF:
        return spec.load({})
    import logging  # noqa: PLC0415  # whoever does not ask for it does not wait for it

    logger = logging.getLogger("rtrace.object")
    handler = logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        return spec.load({})
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def load_program(flags: int, native: _rtrace.Object, name: str, kind: str, target: str | None) -> None:
    """Load a program.

    Show its instructions (``DEBUG_BPF``) with their lines (``DEBUG_SOURCE``), and what the verifier says
    (``DEBUG_BPF``), also of every register (``DEBUG_BPF_REGISTER_STATE``).
    """
    try:
        native.load_program(name, kind=kind, target=target)
    except VerifierError as error:
        if flags & _VERIFIER:
            _say("\n".join(error.log))
        raise
    if not flags & _PROGRAMS:
        return
    level = 2 if flags & enums.DEBUG_BPF_REGISTER_STATE else 1
    found = _rtrace.explain_program(native, name, kind=kind, target=target, log_level=level)
    lines = {}
    if flags & enums.DEBUG_SOURCE:
        lines = {number: f"; {place}: {line}" for number, place, line in found["lines"]}
    shown = [f"{name}:"]
    for number, instruction in instructions_of(found["instructions"]):
        if number in lines:
            shown.append(lines[number])
        shown.append(f"{number:4}: {instruction}")
    _say("\n".join(shown))
    if flags & _VERIFIER:
        _say(found["log"])


def _say(text: str) -> None:
    sys.stderr.write(text.rstrip("\n") + "\n")
