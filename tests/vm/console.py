"""What a guest says: streamed to stdout with the kernel's key in front, and kept in a log with its messages."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import IO

_CHUNK_BYTES = 65536
_TAIL_LINES = 25


class Console:
    """The two streams of one guest: the command's output, and the kernel's console."""

    def __init__(self, key: str, log: Path, *, whole_lines: bool = False) -> None:
        self._whole_lines = whole_lines
        self._held = ""
        self._prefix = f"[{key}] "
        self._path = log
        self._log = log.open("wb")
        self._lock = threading.Lock()
        self._at_line_start = True
        self.first_output: float | None = None
        """When the command's output began, on the monotonic clock."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._write(self._held)
        if not self._at_line_start:
            sys.stdout.write("\n")
            sys.stdout.flush()

    @property
    def panicked(self) -> bool:
        """Whether the kernel said that it panicked."""
        return b"Kernel panic" in self._path.read_bytes()

    def follow(self, stream: IO[bytes], *, echo: bool) -> None:
        """Copy `stream` until it ends; as it comes where no other guest writes, as pytest's dots have no line end."""
        while chunk := stream.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
            with self._lock:
                self._log.write(chunk)
                self._log.flush()
                if echo:
                    self.first_output = self.first_output or time.monotonic()
                    self._echo(chunk.decode(errors="replace").replace("\r\n", "\n"))
        stream.close()

    def show_tail(self) -> None:
        """Show the end of the log, for a guest that died without a word."""
        text = self._path.read_text(errors="replace")
        for line in text.splitlines()[-_TAIL_LINES:]:
            sys.stdout.write(f"{self._prefix}| {line}\n")

    def _echo(self, text: str) -> None:
        if self._whole_lines:
            whole, end, rest = (self._held + text).rpartition("\n")
            text, self._held = whole + end, rest
        self._write(text)

    def _write(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            sys.stdout.write(self._prefix + line if self._at_line_start else line)
            self._at_line_start = line.endswith("\n")
        sys.stdout.flush()
