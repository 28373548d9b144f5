"""Owning something in the kernel, and letting go of it however things end."""

from __future__ import annotations

import warnings

from rtrace.errors import ClosedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import types
    from typing import Any, NoReturn, Self


class Owner:
    """Base of what is attached: a context manager that can be closed, and is when the last reference is lost."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._closed = False
        # What `live` showed last, also when it was interrupted.
        self.result: Any = None

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

    def live(self, *, interval: float = 0.5, duration: float | None = None) -> Any:
        """Show it while it runs, in a notebook's output or in place on a terminal, until somebody stops it.

        What is counted is shown as its histogram so far; events as the newest of them, their rate, and the histogram
        of their latencies if they have such. Losses are shown with them. The stop button of the notebook, or Ctrl-C,
        ends the showing and raises nothing; it stays attached until it is closed. :func:`rtrace.live` shows several
        together.

        Parameters
        ----------
        interval
            Seconds between two updates.
        duration
            Seconds after which it ends by itself; None goes on until it is stopped.

        Returns
        -------
        Histogram or Trace
            All that was seen so far, also if it was stopped early; kept as ``result``. Of a trace the newest million of
            events; those before count as lost (``events_not_kept``).

        Raises
        ------
        ClosedError
            If it has been closed before.
        ValueError
            If a time is not positive.

        Examples
        --------
        >>> with rtrace.vfsreadlat() as reads:  # doctest: +SKIP
        ...     reads.live()
        """
        from rtrace.liveview.loop import live  # noqa: PLC0415  # upwards, and only for those who look on

        (result,) = live(self, interval=interval, duration=duration)  # type: ignore[arg-type]  # some are no events
        return result

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

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied and pickled: what is in the kernel is there once, and the copy's end would be its end."""
        message = f"cannot copy or pickle {self._what}: it is attached, and there is but one of it"
        raise TypeError(message)

    def __del__(self) -> None:
        """Detach, and say that somebody forgot to."""
        if getattr(self, "_closed", True):
            return
        name = repr(self)
        try:
            self.close()
        finally:
            # Last, since a filter may make an error of it.
            warnings.warn(f"unclosed {name}", ResourceWarning, stacklevel=2, source=self)
