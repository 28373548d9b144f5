"""``python -m tests.vm.objects``: compile programs in a guest, to be run on other kernels.

The objects are kept in tests/data/objects, and tests/kernel/bcc/test_elsewhere.py loads them on every kernel. `make
objects` makes them anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.vm.guest import CHECKOUT, Settings, run_guest
from tests.vm.kernels import load_specs

KERNEL = "6.12"
SOURCES = ("tests/data/bcc/vfsreadlat.c", "tests/data/bcc/disksnoop.c", "tests/data/objects/moved.c")
OBJECTS = CHECKOUT / "tests" / "data" / "objects"
IN_GUEST = "--in-guest"


def compile_all() -> None:
    """Compile, as a user does; called inside the guest."""
    for source in SOURCES:
        target = Path(os.environ["RTRACE_VM_OUT"], Path(source).with_suffix(".o").name)
        subprocess.run([sys.executable, "-m", "rtrace", "compile", source, "-o", str(target)], check=True)


def main() -> int:
    """Boot the kernel, compile in it and keep what came out; return the exit status."""
    (spec,) = load_specs([KERNEL])
    command = [sys.executable, "-m", "tests.vm.objects", IN_GUEST]
    outcome = run_guest(spec.fetch(), command, Settings())
    if outcome.status == 0 and outcome.kept is not None:
        for source in SOURCES:
            name = Path(source).with_suffix(".o").name
            shutil.copy(outcome.kept / "out" / name, OBJECTS / name)
        shutil.rmtree(outcome.kept)
    return outcome.status


if __name__ == "__main__":
    if IN_GUEST in sys.argv:
        compile_all()
    else:
        sys.exit(main())
