"""What scripts import from ``bcc.exec``: one command that waits until it is traced."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_NOT_FOUND = 127  # as shells do


class _Command:
    """A child that has not executed its program yet, and the pipe that lets it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        waiting, self._go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            _wait_and_execute(waiting, arguments)
        os.close(waiting)
        self._exited = False

    def release(self) -> None:
        """Let it execute its program."""
        os.write(self._go, b"!")
        os.close(self._go)

    def exited(self) -> bool:
        """Whether it has ended."""
        self._exited = self._exited or os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return self._exited


_commands: list[_Command] = []


def _wait_and_execute(waiting: int, arguments: Sequence[str]) -> NoReturn:
    try:
        # Nothing comes, and the pipe ends, if the script dies before.
        if os.read(waiting, 1):
            os.execvp(arguments[0], list(arguments))  # noqa: S606  # what the function is for
    except OSError as error:
        sys.stderr.write(f"{arguments[0]}: {error.strerror}\n")
    os._exit(_NOT_FOUND)


def run_cmd(args: Sequence[str]) -> int:
    """Start a command that waits for :func:`cmd_ready`; return its pid."""
    _commands.append(_Command(args))
    return _commands[-1].pid


def cmd_ready() -> None:
    """Let the command that was started last go."""
    _commands[-1].release()


def cmd_exited() -> bool:
    """Whether the command that was started last has ended; False if none was."""
    return bool(_commands) and _commands[-1].exited()
