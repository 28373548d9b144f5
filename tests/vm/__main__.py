"""``python -m tests.vm``: run a command under each of the kernels of `kernels.toml`."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.vm import modules
from tests.vm.errors import HarnessError, KernelUnavailableError
from tests.vm.guest import CHECKOUT, Outcome, Settings, run_guest
from tests.vm.kernels import KernelSpec, load_specs
from tests.vm.requirements import check_boot_requirements, kernels_required

PYTEST = [sys.executable, "-m", "pytest", "-q"]
HARNESS_STATUS = 2


def main(arguments: list[str]) -> int:
    """Parse the command line, run the guests, as many together as there are CPUs, and give the exit status."""
    arguments, command = split_command(arguments)
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        specs = load_specs(options.kernels)
        if options.list:
            return list_kernels(specs)
        if not options.fetch_only:
            check_boot_requirements()
        together = min(options.jobs, len(specs))
        settings = Settings(options.timeout, options.memory, options.cpus, alone=together == 1)
        run = functools.partial(
            run_one, command=command, settings=settings, refresh=options.refresh, boot=not options.fetch_only
        )
        with ThreadPoolExecutor(together) as pool:
            running = [pool.submit(run, spec) for spec in specs]
            try:
                outcomes = [guest.result() for guest in running]
            finally:
                # On Ctrl-C, or when one of them could not even be tried.
                settings.stop.set()
                pool.shutdown(cancel_futures=True)
    except HarnessError as error:
        complain(error)
        return HARNESS_STATUS
    return summarise(outcomes)


def make_parser() -> argparse.ArgumentParser:
    """Describe the options; the command comes after ``--``."""
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m tests.vm",
        usage="%(prog)s [options] [-- COMMAND...]",
        description="Run COMMAND (default: the tests that kernels.toml lists for it) as root under each kernel there. "
        "Arguments that start with a test file, a test folder or an option are given to pytest.",
    )
    parser.add_argument("-k", dest="kernels", metavar="KEY", action="append", help="only this kernel; may be repeated")
    parser.add_argument("--list", action="store_true", help="show the kernels and what the cache has of them")
    parser.add_argument("--fetch-only", action="store_true", help="fill the cache, boot nothing")
    parser.add_argument("--refresh", action="store_true", help="ask apt for the newest versions")
    parser.add_argument(
        "--timeout", type=float, default=defaults.timeout, metavar="SECONDS", help="%(default)s a guest"
    )
    # Emulated, each keeps one CPU of the host busy (see `virtme_command`).
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument(
        "-j", dest="jobs", type=int, default=cpus, metavar="N", help="guests at a time; %(default)s here"
    )
    parser.add_argument("--memory", default=defaults.memory, help="%(default)s a guest")
    parser.add_argument("--cpus", type=int, default=defaults.cpus, help="%(default)s a guest")
    return parser


def split_command(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide at the first ``--``; what follows is the command, with pytest put in front of tests; it may be empty.

    Examples
    --------
    >>> split_command(["-k", "6.1", "--", "uname", "-r"])
    (['-k', '6.1'], ['uname', '-r'])
    """
    if "--" not in arguments:
        return arguments, []
    middle = arguments.index("--")
    options, command = arguments[:middle], arguments[middle + 1 :]
    if not command:
        return options, []
    first = command[0].partition("::")[0]
    is_test = (
        first.startswith("-") or first.endswith(".py") or (first.startswith("tests/") and (CHECKOUT / first).is_dir())
    )
    return options, [*PYTEST, *command] if is_test else command


def run_one(spec: KernelSpec, command: list[str], settings: Settings, *, refresh: bool, boot: bool) -> Outcome:
    """Run the command under one kernel, and say what became of it."""
    outcome = fetch_and_run(spec, command, settings, refresh=refresh, boot=boot)
    sys.stdout.write(f"[{spec.key}] {describe(outcome)}\n")
    sys.stdout.flush()
    return outcome


def fetch_and_run(spec: KernelSpec, command: list[str], settings: Settings, *, refresh: bool, boot: bool) -> Outcome:
    """Fetch one kernel and run the command under it; a kernel that cannot be had is skipped only on a laptop."""
    started = time.monotonic()
    try:
        kernel = spec.fetch(refresh=refresh)
        module = modules.build(spec, kernel)
    except KernelUnavailableError as error:
        complain(error)
        required = kernels_required()
        result = "not fetched" if required else "skipped: not fetched"
        return Outcome(spec.key, "-", result, int(required), None, time.monotonic() - started)
    if not boot:
        return Outcome(spec.key, kernel.release, "fetched", 0, None, time.monotonic() - started)
    return run_guest(kernel, command or [*PYTEST, *spec.tests], settings, module)


def list_kernels(specs: list[KernelSpec]) -> int:
    """Print one line per kernel: key, suites, release in the cache."""
    for spec in specs:
        kernel = spec.cached()
        release = kernel.release if kernel else "not fetched"
        sys.stdout.write(f"{spec.key:6} {' '.join(spec.suites):30} {release}\n")
    return 0


def describe(outcome: Outcome) -> str:
    """Say in one line what became of a guest."""
    boot = "" if outcome.boot_seconds is None else f" (boot {outcome.boot_seconds:.1f} s)"
    kept = "" if outcome.kept is None else f"  kept: {outcome.kept / 'console.log'}"
    return f"{outcome.release:24} {outcome.result:12} {outcome.seconds:7.1f} s{boot}{kept}"


def summarise(outcomes: list[Outcome]) -> int:
    """Print the table and give the status of the first guest that failed."""
    sys.stdout.write("\n")
    for outcome in outcomes:
        sys.stdout.write(f"{outcome.key:6} {describe(outcome)}\n")
    return next((outcome.status for outcome in outcomes if outcome.status), 0)


def complain(error: HarnessError) -> None:
    """Say on stderr what is wrong, and the way out on a line of its own."""
    sys.stderr.write(f"error: {error}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    # Ended by a job's time limit, take the guest along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
