"""What programs print with ``bpf_trace_printk``, read from the kernel's one trace pipe.

The pipe is shared: whatever any program on the machine prints comes out of it, and a line that one reader has taken no
other reader gets. Nothing in a line tells whose program printed it, and the kernel prints into no other instance of
the trace buffer, so rtrace cannot give a script a pipe of its own. Perf and ring buffers can: use those for anything
but a first look.
"""

from __future__ import annotations

import os
import sys
import time
import warnings

from rtrace.bcc.discovery import tracefs
from rtrace.errors import LostEventsWarning

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import BinaryIO

    from rtrace.bcc.loaded import Loaded

    Fields = tuple[bytes | None, int | None, int | None, bytes | None, float | None, bytes | None]

_NOTHING: Fields = (None, None, None, None, None, None)
# Where tracing is switched off a read returns at once, with nothing.
_PAUSE = 0.1


class TracePipe:
    """The trace pipe of one BPF object, opened when it is first read."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._pending = b""
        self._lost = 0

    def open(self, *, nonblocking: bool) -> BinaryIO:
        """Return the file."""
        if self._file is None:
            self._file = open(os.path.join(tracefs(), "trace_pipe"), "rb", buffering=0)  # noqa: SIM115  # kept
        os.set_blocking(self._file.fileno(), not nonblocking)
        return self._file

    def readline(self, *, nonblocking: bool) -> bytes | None:
        """Return the next line without its end; None if there is none now and that must not be waited for."""
        file = self.open(nonblocking=nonblocking)
        while b"\n" not in self._pending:
            more = file.read(65536)
            if more:
                self._pending += more
            elif nonblocking:
                return None
            else:
                time.sleep(_PAUSE)
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def fields(self, *, nonblocking: bool) -> Fields:
        """Return the parts of the next line that a program has printed."""
        from rtrace.bcc import trace_line  # noqa: PLC0415  # patterns take longer to compile than to attach

        while (line := self.readline(nonblocking=nonblocking)) is not None:
            fields = trace_line.parse(line)
            if fields is not None:
                return fields
            self._lost += trace_line.lost(line)
        return _NOTHING

    def close(self) -> None:
        """Close it; warn of what it lost."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._lost:
            message = f"{self._lost} lines of the trace pipe were lost: programs print faster than they are read"
            warnings.warn(message, LostEventsWarning, stacklevel=3)


class TraceMethods:
    """The methods of a BPF object that read the trace pipe."""

    loaded: Loaded

    def trace_open(self, nonblocking: bool = False) -> BinaryIO:  # noqa: FBT001, FBT002  # bcc's signature
        """Return the trace pipe, opened."""
        return self.loaded.trace_pipe.open(nonblocking=nonblocking)

    def trace_readline(self, nonblocking: bool = False) -> bytes | None:  # noqa: FBT001, FBT002
        """Return the next line without its end, whoever printed it.

        None, with `nonblocking`, if there is none now.
        """
        return self.loaded.trace_pipe.readline(nonblocking=nonblocking)

    def trace_fields(self, nonblocking: bool = False) -> Fields:  # noqa: FBT001, FBT002
        """Return the next line that a program has printed, in parts.

        Lines of other kinds are passed over, so that what a script does with the message meets messages only; the
        messages of other people's programs cannot be told from one's own.

        Returns
        -------
        task : bytes
        pid : int
            The kernel's word: the thread's id.
        cpu : int
        flags : bytes
        ts : float
            Seconds since the machine started.
        msg : bytes
            All of them None, with `nonblocking`, if there is no line now.
        """
        return self.loaded.trace_pipe.fields(nonblocking=nonblocking)

    def trace_print(self, fmt: str | None = None) -> None:
        """Print lines as they come, for ever.

        Parameters
        ----------
        fmt
            Format of a line with ``{0}`` to ``{5}`` for the fields of :meth:`trace_fields`; the line as it is without.
        """
        while True:
            if fmt:
                fields = self.trace_fields()
                shown = (field.decode(errors="replace") if isinstance(field, bytes) else field for field in fields)
                line = fmt.format(*shown)
            else:
                line = (self.trace_readline() or b"").decode(errors="replace")
            print(line)  # noqa: T201  # what the method is for
            sys.stdout.flush()
