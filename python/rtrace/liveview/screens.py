"""Where frames are drawn: an output of a notebook, a terminal (with rich if it is there), or a pipe.

A notebook's output is brought up to date through IPython's display handles. They are messages of the kernel's own
protocol: every front end that shows outputs understands them (JupyterLab, VS Code, nbclient), nothing has to be
installed beside the kernel, and what was drawn last is saved with the notebook. A widget would need its own part in
the browser and leave nothing to see in a saved file.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from rtrace.liveview.frames import Frame, Picture

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from typing import Self

HOW_TO_STOP = {"notebook": "Interrupt the kernel (the stop button) to end it.", "terminal": "Hit Ctrl-C to end."}


class Screen(Protocol):
    """Something to draw on; a context manager."""

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        """Draw these in place of what was drawn before; after the last ones nothing more will come."""

    def __enter__(self) -> Self:
        """Take over what is drawn on."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: types.TracebackType | None
    ) -> None:
        """Leave what was drawn last."""


def choose() -> Screen:
    """Return the screen that whoever asked is looking at."""
    if in_notebook():
        return NotebookScreen()
    if sys.stdout is None or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return LastOnlyScreen(sys.stdout)
    try:
        import rich.live  # noqa: F401, PLC0415  # optional
    except ImportError:
        return TerminalScreen(sys.stdout)
    from rtrace.liveview.rich_screen import RichScreen  # noqa: PLC0415  # imports rich

    return RichScreen()


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class PlainScreen:
    """Something that has nothing to open and nothing to close."""

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing."""


class NotebookScreen(PlainScreen):
    """One output of the cell that is running."""

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        """Update the output."""
        from IPython.display import display  # noqa: PLC0415  # there, since this is a notebook

        picture = Picture(frames, "" if ended else HOW_TO_STOP["notebook"])
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)


class TerminalScreen(PlainScreen):
    """A terminal, with the few control sequences that all of them know."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lines = 0

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        """Move back up and draw over it; what does not fit is cut, except for the last time."""
        columns, rows = shutil.get_terminal_size()
        lines = "\n\n".join(frame.text(columns - 1) for frame in frames).splitlines()
        if not ended:
            lines = [*lines[: max(rows - 2, 1)], HOW_TO_STOP["terminal"]]
            # A line that the terminal breaks would be two to move up.
            lines = [line[: columns - 1] for line in lines]
        up = f"\x1b[{self._lines}F" * bool(self._lines)
        self._file.write(up + "\x1b[J" + "\n".join(lines) + "\n")
        self._file.flush()
        self._lines = len(lines)


class LastOnlyScreen(PlainScreen):
    """A pipe, a file or nothing: nothing is drawn over there, so the last frame is all that is written."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        """Write the last frame."""
        if ended:
            print("\n\n".join(frame.text() for frame in frames), file=self._file, flush=True)
