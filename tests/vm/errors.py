"""What can go wrong before a guest runs, with the way out kept apart from the message."""

from __future__ import annotations


class HarnessError(Exception):
    """The harness itself cannot go on: a missing program, a wrong option."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class KernelUnavailableError(HarnessError):
    """One kernel could not be fetched; the others may still run."""
