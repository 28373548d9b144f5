"""What the kernel says about BPF programs: who holds which, and what their runs cost."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# include/uapi/linux/bpf.h: enum bpf_cmd, and where struct bpf_prog_info has its fields.
SYS_BPF = 321  # x86_64
PROG_GET_FD_BY_ID = 13
OBJ_GET_INFO_BY_FD = 15
ENABLE_STATS = 32
INFO_BYTES = 232
NAME = slice(64, 80)
RUN_TIME_NS = 192
ATTRIBUTE_BYTES = 128


@dataclass(frozen=True, slots=True)
class ProgramRuns:
    """How often a program has run while statistics were on, and how long in all."""

    name: str
    jited_bytes: int
    run_time_ns: int
    run_count: int


def programs_of(pid: int) -> set[int]:
    """Return the ids of the programs that a process holds, directly or by a link."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_text().splitlines():
                if line.startswith("prog_id:"):
                    found.add(int(line.split()[1]))
    return found


def runs_of(program: int) -> ProgramRuns:
    """Ask the kernel for a program's statistics."""
    fd = call(PROG_GET_FD_BY_ID, struct.pack("=I", program))
    try:
        info = ctypes.create_string_buffer(INFO_BYTES)
        call(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, INFO_BYTES, ctypes.addressof(info)))
    finally:
        os.close(fd)
    run_time_ns, run_count = struct.unpack_from("=QQ", info.raw, RUN_TIME_NS)
    (jited_bytes,) = struct.unpack_from("=I", info.raw, 16)
    return ProgramRuns(info.raw[NAME].rstrip(b"\0").decode(), jited_bytes, run_time_ns, run_count)


@contextlib.contextmanager
def statistics() -> Iterator[None]:
    """Have the kernel time every run meanwhile; the descriptor, and so the end of the process, ends that."""
    fd = call(ENABLE_STATS, struct.pack("=I", 0))
    try:
        yield
    finally:
        os.close(fd)


def call(command: int, attribute: bytes) -> int:
    """Make the system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attribute.ljust(ATTRIBUTE_BYTES, b"\0"), ATTRIBUTE_BYTES)
    result: int = libc.syscall(SYS_BPF, command, buffer, ATTRIBUTE_BYTES)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf command {command}: {os.strerror(number)}")
    return result
