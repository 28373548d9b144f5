"""Owning something in the kernel, and letting go of it however things end."""

from __future__ import annotations

import warnings

from rtrace.errors import ClosedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import types
    from typing import Self


class Owner:
    """Base of what is attached: a context manager that can be closed, and is when the last reference is lost."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._closed = False

    def _release(self) -> None:
        """Let go of what is held; called once."""
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._closed:
            message = f"{self._what} is closed"
            raise ClosedError(message)

    def close(self) -> None:
        """Detach and free everything in the kernel. Doing it again changes nothing."""
        # Missing if the construction failed: then there is nothing to let go of.
        closed, self._closed = getattr(self, "_closed", True), True
        if not closed:
            self._release()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def __enter__(self) -> Self:
        """Return itself; it is attached already."""
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        """Detach, and say that somebody forgot to."""
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.close()
