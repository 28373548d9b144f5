"""urandomread: who reads how much from the kernel's random device."""

from __future__ import annotations

import time

from rtrace import _rtrace, option_checks
from rtrace.errors import RtraceError, TargetNotFoundError
from rtrace.shapes import targets
from rtrace.shapes.function_latency import FunctionLatency
from rtrace.shapes.latency_options import Options
from rtrace.shapes.record_stream import RecordStream
from rtrace.shapes.tracepoint_events import tracepoint_events
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.shapes.latency_options import Mechanism
    from rtrace.shapes.recording import Recording
    from rtrace.trace import Trace

TRACEPOINT = "random:urandom_read"
# What serves a read of the device, from the newest kernels to 5.10; both return the number of bytes.
FUNCTIONS = ("urandom_read_iter", "urandom_read")
# Major and minor number of /dev/urandom (Documentation/admin-guide/devices.txt).
DEVICE = (1, 9)
COLUMNS = (("ts_ns", "=u8"), ("pid", "=u4"), ("tid", "=u4"), ("comm", "S16"), ("cpu", "=u4"), ("got_bits", "=i4"))


class UrandomReads(RecordStream):
    """A running record of reads from the random device; made by :func:`urandomread`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of batches, also an
    asynchronous one.

    Attributes
    ----------
    mechanism : str
        ``"tracepoint"`` where the kernel still has random:urandom_read, else ``"fentry"``, ``"kprobe"`` or
        ``"syscall"``.
    boundary : str
        What exactly is recorded, in a sentence.
    refused : dict[str, RtraceError]
        The ways that were tried before and why they were out.
    """

    def __init__(self, tasks: targets.Tasks) -> None:
        self.refused: dict[str, RtraceError] = {}
        self._source: Recording | FunctionLatency = self._attach(tasks)
        super().__init__("the record of urandom reads")

    def _attach(self, tasks: targets.Tasks) -> Recording | FunctionLatency:
        """Attach by the first way that works here."""
        try:
            recording = tracepoint_events(
                TRACEPOINT, pid=tasks.pid, tid=tasks.tid, cgroup=tasks.cgroup, tool="urandomread"
            )
        except RtraceError as error:
            self.refused["tracepoint"] = error.with_traceback(None)
        else:
            self.mechanism, self.boundary = "tracepoint", f"hits of {TRACEPOINT}"
            return recording
        known = {name for name, _ in _rtrace.kernel_functions()}
        function = next((name for name in FUNCTIONS if name in known), None)
        ways: list[tuple[Mechanism, str]] = [("syscall", "vfs_read")]
        if function is not None:
            ways = [("fentry", function), ("kprobe", function), *ways]
        last: RtraceError | None = None
        for mechanism, target in ways:
            device = DEVICE if mechanism == "syscall" else None
            options = Options(
                target=target, mechanism=mechanism, tasks=tasks, records=True, device=device, tool="urandomread"
            )
            try:
                measurement = FunctionLatency(options)
            except RtraceError as error:
                last = self.refused[mechanism] = error.with_traceback(None)
                continue
            self.mechanism = mechanism
            self.boundary = f"{measurement.boundary}{'; only those on /dev/urandom' if device else ''}"
            return measurement
        raise last or TargetNotFoundError(TRACEPOINT)

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the reads that have been served since the last call.

        Parameters
        ----------
        timeout
            Seconds to wait for the first one; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), structured
            ``ts_ns`` (CLOCK_MONOTONIC, ns), ``pid``, ``tid``, ``comm``, ``cpu``, and ``got_bits``: 8 times the bytes.

        Raises
        ------
        ClosedError
            If it has been closed.
        """
        import numpy as np  # noqa: PLC0415  # not needed to attach

        self._check_open()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            came = found = self._source.read(left)
            if "got_bits" not in (came.dtype.names or ()):
                found = came[came["return_value"] > 0]
            # Reads that failed are none, and no reason to come back with nothing.
            if len(found) or not len(came):
                break
        reads = np.zeros(len(found), np.dtype(list(COLUMNS)))
        for name, _ in COLUMNS[:-1]:
            reads[name] = found[name]
        reads["got_bits"] = found["got_bits"] if "got_bits" in (found.dtype.names or ()) else found["return_value"] * 8
        return reads

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait; see :meth:`rtrace.Recording.fileno`."""
        self._check_open()
        return self._source.fileno()

    def losses(self) -> dict[str, int]:
        """Return how many reads are missing so far, by cause; what did not occur is left out."""
        self._check_open()
        return self._source.losses()

    def detach(self) -> None:
        """Let no more reads come; see :meth:`rtrace.Recording.detach`."""
        self._check_open()
        self._source.detach()

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this record."""
        import dataclasses  # noqa: PLC0415  # neither is needed to attach

        import numpy as np  # noqa: PLC0415

        from rtrace.trace import FieldFacts, Trace  # noqa: PLC0415

        self._check_open()
        records = np.concatenate([np.empty(0, np.dtype(list(COLUMNS))), *batches])
        fields = {"ts_ns": FieldFacts(unit="ns"), "got_bits": FieldFacts(unit="bits", description="bits handed out")}
        if isinstance(self._source, FunctionLatency):
            counted = self._source.snapshot()
            return Trace(
                records=records,
                target=counted.target,
                tool="urandomread",
                host=counted.host,
                kernel=counted.kernel,
                started=counted.started,
                duration=counted.duration,
                clock_offset_ns=time.time_ns() - time.monotonic_ns(),
                losses=counted.losses,
                options={**counted.options, "mechanism": self.mechanism},
                fields=fields,
            )
        whole = self._source.trace([])
        return dataclasses.replace(whole, records=records, fields=fields)

    def _release(self) -> None:
        self._source.close()

    def __repr__(self) -> str:
        """Name the record."""
        return f"<UrandomReads mechanism={self.mechanism}{' closed' if self.closed else ''}>"


@overload
def urandomread(
    *,
    duration: float,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
) -> Trace: ...


@overload
def urandomread(
    *,
    duration: None = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
) -> UrandomReads: ...


def urandomread(
    *,
    duration: float | None = None,
    pid: int | None = None,
    tid: int | None = None,
    cgroup: str | os.PathLike[str] | int | None = None,
) -> Trace | UrandomReads:
    """Record reads of the kernel's random device, ``/dev/urandom``: who, and how many bits.

    The tracepoint random:urandom_read, which the tutorial uses, was removed in Linux 5.18 and 5.10.119. Where it is
    gone, the function that serves the reads is probed; where that is not allowed, the read system calls on
    descriptors of the device are recorded. The result's ``mechanism`` says which.

    Parameters
    ----------
    duration
        Seconds to record; None returns the running record.
    pid, tid, cgroup
        Only reads by these tasks, as for :func:`~rtrace.function_latency`.

    Returns
    -------
    Trace or UrandomReads
        One record for each read: ``ts_ns``, ``pid``, ``tid``, ``comm``, ``cpu``, ``got_bits``.

    Raises
    ------
    PrivilegeError
        Without CAP_BPF and CAP_PERFMON.
    NotSupportedError
        If none of the ways works on this kernel.

    Notes
    -----
    Kernel: 5.10 or newer. Random bytes from getrandom() do not come from the device and are not seen, except by the
    tracepoint of old kernels.

    Examples
    --------
    >>> trace = rtrace.urandomread(duration=5)  # doctest: +SKIP
    >>> trace.to_pandas().groupby("comm")["got_bits"].sum()  # doctest: +SKIP
    """
    duration = option_checks.maybe_seconds("duration", duration)
    reads = UrandomReads(targets.Tasks(pid, tid, cgroup))
    if duration is None:
        return reads
    with reads:
        return reads.record(duration)
