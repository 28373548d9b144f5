"""Names of system calls, as scripts import them from ``bcc.syscall``."""

from __future__ import annotations

from rtrace import _rtrace

# No machine numbers them higher.
_MOST = 1024
syscalls: dict[int, bytes] = {
    number: name.encode() for number in range(_MOST) if (name := _rtrace.syscall_name(number)) is not None
}


def syscall_name(syscall_num: int) -> bytes:
    """Return the name of a system call on this machine."""
    return syscalls.get(syscall_num, b"[unknown: %d]" % syscall_num)
