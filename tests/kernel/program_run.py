"""Running a loaded program once on a packet of the test's own: ``BPF_PROG_TEST_RUN``."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

_PROG_TEST_RUN = 10
_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]


class _Attributes(ctypes.Structure):
    _fields_ = [
        ("prog_fd", ctypes.c_uint32),
        ("retval", ctypes.c_uint32),
        ("data_size_in", ctypes.c_uint32),
        ("data_size_out", ctypes.c_uint32),
        ("data_in", ctypes.c_uint64),
        ("data_out", ctypes.c_uint64),
        ("repeat", ctypes.c_uint32),
        ("duration", ctypes.c_uint32),
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """What a program returned and what it left of the packet."""

    result: int
    data: bytes


def run_program(descriptor: int, packet: bytes) -> Run:
    """Run a program for packets on one, which begins with its Ethernet header."""
    given = ctypes.create_string_buffer(packet, len(packet))
    left = ctypes.create_string_buffer(len(packet) + 256)
    attributes = _Attributes(
        prog_fd=descriptor,
        data_size_in=len(packet),
        data_size_out=len(left),
        data_in=ctypes.addressof(given),
        data_out=ctypes.addressof(left),
        repeat=1,
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_BPF, _PROG_TEST_RUN, ctypes.byref(attributes), ctypes.sizeof(attributes)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return Run(attributes.retval, left.raw[: attributes.data_size_out])
