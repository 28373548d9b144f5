"""``python -m bench``: run benches and write what they measured."""

from __future__ import annotations

import argparse
import functools
import os
import sys

from tests.vm.errors import HarnessError

from bench import bpf_start, callbacks, flood, guest, import_time, maps, memory, per_event, plots, report, ring, startup
from bench.measure import CHECKOUT, BenchError, build_programs
from bench.result import Result, load_all

NATIVE = {
    "import_time": import_time.native,
    "startup_native": startup.native,
    "bpf_native": bpf_start.native,
    "per_event_native": per_event.native,
    "ring_native": ring.native,
    "flood_native": flood.native,
    "maps_native": maps.native,
    "callbacks_native": callbacks.native,
    "memory_native": memory.native,
}
GUEST = {"startup_vm": "startup", "bpf_vm": "bpf", "per_event_vm": "per_event"}


def main(arguments: list[str]) -> int:
    """Parse the command line, run, and give the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure rtrace side by side with bcc, bpftrace and C."
    )
    names = [*NATIVE, *GUEST]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default: all")
    parser.add_argument(
        "-k", dest="kernels", metavar="KEY", action="append", help="kernel of tests/vm for the guests; default: 6.1"
    )
    parser.add_argument(
        "--seconds", type=int, default=memory.SECONDS, help="how long memory is watched; default: %(default)s"
    )
    parser.add_argument("--report", action="store_true", help="run nothing, write RESULTS.md from what is kept")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in names:
            parser.error(f"no bench {name!r}: one of {', '.join(names)}")
    NATIVE["memory_native"] = functools.partial(memory.native, options.seconds)
    if options.report:
        for result in load_all():
            plots.draw(result)
        report.write(load_all())
        return 0
    if os.geteuid() != 0:
        parser.error("tracing needs root")
    try:
        build_programs()
        for name in options.names or names:
            for result in run(name, options.kernels or ["6.1"], " ".join(["python -m bench", *arguments])):
                result.save()
                plots.draw(result)
                print(report.section(result), flush=True)
                report.write(load_all())
    except (BenchError, HarnessError) as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, HarnessError) and error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


def run(name: str, kernels: list[str], command: str) -> list[Result]:
    """Run one bench, here or in each of the guests."""
    print(name, file=sys.stderr, flush=True)
    if name in NATIVE:
        return [Result.here(name, command, NATIVE[name]())]
    return [guest.run(GUEST[name], key, command) for key in kernels]


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
