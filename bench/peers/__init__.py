"""The programs that are compared; every one of them times reads and counts the times in a log2 histogram."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import ziglang

import rtrace as rtrace_package
from bench.measure import PROGRAMS

FOLDER = Path(__file__).parent
# python3-bpfcc belongs to the distribution's own interpreter.
SYSTEM_PYTHON = "/usr/bin/python3"
PYTHON = str(Path(sys.prefix) / "bin" / "python")
RTRACE = str(Path(sys.prefix) / "bin" / "rtrace")
# Where another interpreter finds bcc, which is all Python, and rtrace, whose module is made for all from 3.11 on.
BCC_PACKAGES = "/usr/lib/python3/dist-packages"
PACKAGES = str(Path(rtrace_package.__file__).parents[1])
# The compiler of the wheel, which bcc's interpreter does not find by itself.
ZIG = str(Path(ziglang.__file__).parent / "zig")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program to start: it says `marker` as soon as it is attached, and ends when it is interrupted."""

    name: str
    command: list[str]
    marker: str = "attached"
    programs: int = 2
    """How many BPF programs it holds then, at least."""
    environment: dict[str, str] = field(default_factory=dict)
    needs_tracefs: bool = False


def untraced() -> Peer:
    """Give the peer that traces nothing."""
    return Peer("untraced", [str(PROGRAMS / "readlat")], programs=0)


def bare_python(name: str = "python -c pass", executable: str = PYTHON) -> Peer:
    """Give an interpreter that does nothing but say so."""
    return statement(name, "pass", executable)


def statement(name: str, code: str, executable: str = PYTHON) -> Peer:
    """Give an interpreter that runs some code and says when it is done."""
    # It stays until its memory has been read.
    whole = f"{code}; print('attached', flush=True); import time; time.sleep(100)"
    return Peer(name, [executable, "-c", whole], programs=0)


def rtrace(mechanism: str) -> Peer:
    """Give rtrace in a script of two lines."""
    return Peer(f"rtrace {mechanism}", [PYTHON, str(FOLDER / "rtrace_readlat.py"), mechanism])


def rtrace_elsewhere(mechanism: str) -> Peer:
    """Give the same under bcc's interpreter, to compare the two without their interpreters.

    It may lack numpy: a histogram is counted and printed without.
    """
    command = [SYSTEM_PYTHON, str(FOLDER / "rtrace_readlat.py"), mechanism]
    return Peer(f"rtrace {mechanism} (bcc's Python)", command, environment={"PYTHONPATH": PACKAGES})


def rtrace_cli() -> Peer:
    """Give rtrace's command line."""
    return Peer("rtrace CLI auto", [RTRACE, "vfsreadlat"], marker="Tracing")


def bcc(mechanism: str, headers: Path) -> Peer:
    """Give bcc, with the folder of kernel headers that it compiles against."""
    command = [SYSTEM_PYTHON, str(FOLDER / "bcc_readlat.py"), mechanism]
    return Peer(f"bcc {mechanism}", command, environment={"BCC_KERNEL_SOURCE": str(headers)}, needs_tracefs=True)


def bpf_start(way: str, program: str, words: str, mechanism: str, headers: Path) -> Peer:
    """Give the script that makes a BPF object: with bcc, or with rtrace under bcc's interpreter or under its own."""
    tool = way.partition(" ")[0]
    python = PYTHON if "(rtrace's Python)" in way else SYSTEM_PYTHON
    command = [python, str(FOLDER / "bpf_start.py"), tool, program, mechanism]
    if tool == "bcc":
        needed = {"BCC_KERNEL_SOURCE": str(headers)}
    else:
        needed = {"PYTHONPATH": PACKAGES, "RTRACE_CLANG": "clang" if "Debian's clang" in way else ZIG}
    programs = 2 if program == "vfsreadlat" else 1
    return Peer(f"{way}, {words}", command, programs=programs, environment=needed, needs_tracefs=tool == "bcc")


def bpftrace(mechanism: str) -> Peer:
    """Give bpftrace."""
    # `attached` comes from a BEGIN probe, the quickest way to have bpftrace say so: one with -c took 5 ms longer.
    return Peer(f"bpftrace {mechanism}", ["bpftrace", str(FOLDER / f"readlat_{mechanism}.bt")], needs_tracefs=True)


def c(probe: str, start: str) -> Peer:
    """Give C with libbpf: `start` is ``none`` (programs that do nothing), ``hash`` or ``storage``."""
    command = [str(PROGRAMS / "readlat"), str(PROGRAMS / f"{probe}_{start}.o")]
    return Peer(f"C {probe} {start}", command, needs_tracefs=True)
