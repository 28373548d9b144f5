"""clang for eBPF, run once for each program: a guest, which takes seconds for it, finds what the host compiled."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

FLAGS = ["-target", "bpf", "-O2", "-g", "-Wall", "-Werror"]
# Read-only in a guest.
KEPT = Path(__file__).parents[2] / "build" / "test-objects"


@functools.cache
def compile_bpf(source: str, *flags: str) -> bytes:
    """Compile C that depends on no kernel; every warning is an error."""
    clang = Path(shutil.which("clang") or "clang").resolve(strict=True)
    command = [str(clang), *FLAGS, *flags, "-x", "c", "-c", "-", "-o", "-"]
    key = hashlib.sha256(repr((command, clang.stat().st_mtime_ns, source)).encode()).hexdigest()
    kept = KEPT / f"{key}.o"
    with contextlib.suppress(FileNotFoundError):
        return kept.read_bytes()
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    with contextlib.suppress(OSError):
        KEPT.mkdir(parents=True, exist_ok=True)
        # All of it or nothing.
        unfinished = kept.with_suffix(".new")
        unfinished.write_bytes(done.stdout)
        unfinished.rename(kept)
    return done.stdout
