"""``python -m rtrace.bcc SCRIPT [ARGUMENT ...]`` runs a script written for bcc as it is, on rtrace."""

from __future__ import annotations

import importlib
import os
import runpy
import sys

USAGE = "usage: python -m rtrace.bcc SCRIPT [ARGUMENT ...]"


def stand_in() -> None:
    """Let ``import bcc`` in this process find rtrace's modules."""
    import rtrace.bcc  # noqa: PLC0415  # not rtrace's own parts of the same names

    sys.modules["bcc"] = rtrace.bcc
    for name in rtrace.bcc.MODULES:
        sys.modules[f"bcc.{name}"] = importlib.import_module(f"rtrace.bcc.{name}")


def main(arguments: list[str]) -> int:
    """Run the script that the arguments name."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stderr.write(f"{USAGE}\n")
        return 0 if arguments else 2
    script = arguments[0]
    if not os.path.isfile(script):
        sys.stderr.write(f"error: no script `{script}`\n{USAGE}\n")
        return 2
    stand_in()
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
