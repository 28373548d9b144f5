"""A trace buffer of one's own, which gets what programs print from when it is made."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import BinaryIO

_NAME = "rtrace-{}-{}"


class TraceInstance:
    """An instance of the trace buffer in tracefs, and its pipe.

    It stays behind when a process is killed: whoever makes one removes those whose process has ended.

    Raises
    ------
    OSError
        If tracefs has no room for it, or is read-only.
    """

    def __init__(self, tracefs: str) -> None:
        self._pid = os.getpid()
        instances = os.path.join(tracefs, "instances")
        _remove_abandoned(instances)
        self._path = _make(instances)
        try:
            with open(os.path.join(self._path, "events", "bpf_trace", "bpf_trace_printk", "enable"), "wb") as file:
                file.write(b"1")
            self.pipe: BinaryIO = open(os.path.join(self._path, "trace_pipe"), "rb", buffering=0)  # noqa: SIM115  # kept
        except OSError:
            os.rmdir(self._path)
            raise

    def close(self) -> None:
        """Remove it, with what nobody has read; a child of `fork` has a copy, and leaves it to its parent."""
        self.pipe.close()
        if os.getpid() == self._pid:
            os.rmdir(self._path)


def _make(instances: str) -> str:
    number = 0
    while True:
        path = os.path.join(instances, _NAME.format(os.getpid(), number))
        try:
            os.mkdir(path)
        except FileExistsError:
            number += 1
        else:
            return path


def _remove_abandoned(instances: str) -> None:
    start, _, _ = _NAME.partition("{}")
    for name in os.listdir(instances):
        pid = name.removeprefix(start).partition("-")[0]
        if name.startswith(start) and not os.path.exists(os.path.join("/proc", pid)):
            try:
                os.rmdir(os.path.join(instances, name))
            except OSError:  # in use after all, by a process that this one does not see
                continue
