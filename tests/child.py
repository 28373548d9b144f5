"""Processes of a test's own: programs told by their input what to do, and copies of the test itself."""

from __future__ import annotations

import os
import pickle
import subprocess
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Child:
    """A running program that ends when its input does."""

    def __init__(self, *command: str | Path, **options: Any) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input = self.process.stdin
        self.output = self.process.stdout

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        self.input.close()
        self.output.close()
        assert self.process.wait() == 0


def in_a_child(function: Callable[[], Any]) -> Any:
    """Return what `function` returns in a child of fork, which ends without the interpreter's clean-up."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        with open(send, "wb") as pipe:
            try:
                pickle.dump(function(), pipe)
            except BaseException:  # noqa: BLE001  # nothing of the test's may run twice
                traceback.print_exc()
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return pickle.loads(said)  # noqa: S301  # our own
