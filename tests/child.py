"""A process of a test's own, told by its input what to do."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
