"""The benches inside a guest: the host's half, and ``python -m bench.guest BENCH HEADERS`` for the guest's."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import sys
from pathlib import Path

from tests.vm.guest import Settings, run_guest
from tests.vm.kernels import load_specs

from bench import bpf_start, headers, peers, per_event, startup
from bench.measure import BenchError
from bench.result import Result

BENCHES = {"startup": startup.guest, "bpf": bpf_start.guest, "per_event": per_event.guest}
OUTPUT = "result.json"
# Emulated, clang and LLVM take their time, and bcc needs memory.
SETTINGS = Settings(timeout=2400.0, memory="2G")


def run(bench: str, key: str, command: str) -> Result:
    """Boot a kernel, run a bench in it and bring the result out."""
    tree = headers.fetch(key)
    (spec,) = load_specs([key])
    # As pip does when it installs a package; the guest cannot write here.
    compileall.compile_dir(peers.PACKAGES, quiet=1)
    inside = [sys.executable, "-m", "bench.guest", bench, str(tree)]
    outcome = run_guest(spec.fetch(), inside, SETTINGS)
    if outcome.status != 0 or outcome.kept is None:
        message = f"{bench} under {key}: {outcome.result}, see {outcome.kept}"
        raise BenchError(message)
    stored = json.loads((outcome.kept / "out" / OUTPUT).read_text())
    shutil.rmtree(outcome.kept)
    return Result.from_dict(stored | {"bench": f"{bench}_vm-{key}", "command": command})


def main(bench: str, tree: str) -> None:
    """Run a bench in the guest."""
    result = Result.here(f"{bench}_vm", "", BENCHES[bench](Path(tree)))
    Path(os.environ["RTRACE_VM_OUT"], OUTPUT).write_text(json.dumps(result.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
