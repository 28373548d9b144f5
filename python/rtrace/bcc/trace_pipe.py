"""What programs print with ``bpf_trace_printk``, read from the kernel's one trace pipe.

The pipe is shared: whatever any program on the machine prints comes out of it, and nothing in a line tells whose
program printed it. What was printed before one's own object was loaded can be told by its time, and is passed over.

Linux 6.6 lets one reader at a time open it, and so do older ones with their updates: who comes second gets an instance
of the trace buffer, which has all that is printed from then on. Others let readers take each other's lines. One for
everyone would prevent that, but before Linux 6.6 it means making a folder for each of some 2,000 tracepoints. Perf and
ring buffers are one's own: use those for anything but a first look.
"""

from __future__ import annotations

import errno
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
    from rtrace.bcc.trace_instance import TraceInstance
    from rtrace.bcc.trace_line import Older

    Fields = tuple[bytes | None, int | None, int | None, bytes | None, float | None, bytes | None]

_NOTHING: Fields = (None, None, None, None, None, None)
# Longest wait in one go, in ms: a signal that comes just before it is seen after it, and the kernel ends it only when
# the buffer is half full.
_WAIT = 50
# How far the clocks of two CPUs may be apart, and the trace buffer's from ours (NTP: at most 500 parts in a million).
_SLACK = 0.1
_DRIFT = 0.001


class TracePipe:
    """The trace pipe of one BPF object, opened when it is first read."""

    def __init__(self) -> None:
        self._made = time.monotonic()
        self._file: BinaryIO | None = None
        self._pending = b""
        self._lost = 0
        self._instance: TraceInstance | None = None
        # What is older than this object; None as soon as nothing can be.
        self._older: Older | None = None

    def open(self, *, nonblocking: bool) -> BinaryIO:
        """Return the file."""
        if self._file is None:
            _make_room()
            self._older = self._older_than_this()
            self._file = self._open()
        os.set_blocking(self._file.fileno(), not nonblocking)
        return self._file

    def _open(self) -> BinaryIO:
        try:
            return open(os.path.join(tracefs(), "trace_pipe"), "rb", buffering=0)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        from rtrace.bcc.trace_instance import TraceInstance  # noqa: PLC0415  # seldom

        self._instance = TraceInstance(tracefs())
        return self._instance.pipe

    def _older_than_this(self) -> Older | None:
        """Return what tells older lines; None if the trace buffer's clock counts no seconds."""
        from rtrace.bcc import trace_line  # noqa: PLC0415  # patterns take longer to compile than to attach

        elapsed = time.monotonic() - self._made
        try:
            with open(os.path.join(tracefs(), "per_cpu", "cpu0", "stats"), "rb") as file:
                now = trace_line.now(file.read())
        except OSError:
            return None
        return None if now is None else trace_line.Older(now - elapsed * (1 + _DRIFT) - _SLACK)

    def readline(self, *, nonblocking: bool) -> bytes | None:
        """Return the next line without its end; None if there is none now and that must not be waited for."""
        file = self._file or self.open(nonblocking=False)
        while (line := self._next(file, nonblocking=nonblocking)) is not None:
            if self._older is None:
                return line
            if self._older.holds(line):
                continue
            kept, self._older.kept = self._older.kept, b""
            if kept:
                self._pending = line + b"\n" + self._pending
                return kept
            if self._older.over:
                self._older = None
            return line
        return None

    def _next(self, file: BinaryIO, *, nonblocking: bool) -> bytes | None:
        while b"\n" not in self._pending:
            if more := _read_now(file):
                self._pending += more
            elif nonblocking:
                return None
            else:
                _wait(file)
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
        """Close it."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._instance is not None:
            self._instance.close()

    def warn(self) -> None:
        """Warn of what it lost."""
        if self._lost:
            message = f"{self._lost} lines of the trace pipe were lost: programs print faster than they are read"
            warnings.warn(message, LostEventsWarning, stacklevel=3)


def _read_now(file: BinaryIO) -> bytes | None:
    """Read what is there, in whatever mode the file is for those who have it from :meth:`TracePipe.open`."""
    descriptor = file.fileno()
    blocking = os.get_blocking(descriptor)
    os.set_blocking(descriptor, False)
    try:
        return file.read(65536)
    finally:
        os.set_blocking(descriptor, blocking)


def _wait(file: BinaryIO) -> None:
    import select  # noqa: PLC0415  # only when there is time

    waiting = select.poll()
    waiting.register(file, select.POLLIN)
    waiting.poll(_WAIT)


def _make_room() -> None:
    """Let the trace buffer grow to its usual size.

    Until something traces by the files of tracefs the kernel keeps it at 7 KiB for each CPU, some hundred lines, and a
    program that prints does not count.
    """
    try:
        with open(os.path.join(tracefs(), "buffer_size_kb"), "r+b", buffering=0) as file:
            _, expanded, size = file.read(64).partition(b"(expanded: ")
            if expanded:
                file.write(size.partition(b")")[0])
    except OSError:  # read-only, say: the lines it loses are told
        return


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
