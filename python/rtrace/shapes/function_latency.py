"""Function latency: how long a kernel function takes.

The programs are those of ``ebpf/programs/src/function_latency.rs``; this file chooses the mechanism, sets the options
and turns what the kernel counted into a :class:`~rtrace.Histogram`.
"""

from __future__ import annotations

import time

from rtrace import option_checks
from rtrace.shapes import mechanisms, targets
from rtrace.shapes.counting import Counting, check_intervals
from rtrace.shapes.latency_options import RING_BYTES, Options
from rtrace.shapes.ring_options import MAX_BYTES, RingOptions
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    from rtrace import _rtrace
    from rtrace.histogram import Histogram, Unit
    from rtrace.shapes.latency_options import GroupBy, Mechanism
    from rtrace.shapes.ring_options import WhenFull
    from rtrace.shapes.session import FunctionSession


__all__ = ["FunctionLatency", "function_latency"]


class FunctionLatency(Counting):
    """A running measurement of a kernel function; made by :func:`function_latency`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of one
    :class:`~rtrace.Histogram` for each interval, also an asynchronous one. Losing the last reference detaches, with a
    ResourceWarning.

    Attributes
    ----------
    target : str
        The function.
    mechanism : str
        How the function is timed: ``"fentry"``, ``"kprobe"`` or ``"syscall"``.
    boundary : str
        What exactly lies between the two time stamps, in a sentence.
    refused : dict[str, RtraceError]
        The mechanisms that were tried before and why the kernel or its guards said no.
    """

    def __init__(self, options: Options, *, interval: float = 1.0, count: int | None = None) -> None:
        self._options = options
        self._session: FunctionSession
        self._session, refused = mechanisms.attach(options)
        super().__init__(
            options.target,
            mechanism=self._session.mechanism,
            boundary=self._session.boundary,
            unit=options.unit,
            interval=interval,
            count=count,
        )
        self.refused = refused

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records of the calls that have returned since the last read; needs ``records=True``.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), structured
            One row per call in the order of their returns, n may be 0; owns its memory. ``ts_ns`` is the time of the
            return (CLOCK_MONOTONIC, ns), ``latency_ns`` the time since entry, ``return_value`` what the function
            returned (for a function of type int, its low 32 bits count), then ``pid``, ``tid``, ``cpu``, ``comm``.

        Raises
        ------
        ClosedError
            If the measurement has been closed.
        ValueError
            If it keeps no records.
        """
        return self._ring().read(timeout)

    def fileno(self) -> int:
        """Return a descriptor that is readable while records wait; see :meth:`rtrace.Recording.fileno`."""
        return self._ring().fileno()

    def detach(self) -> None:
        """Let no more calls come; what was counted and recorded before can still be read, until :meth:`close`.

        Doing it again changes nothing.

        Raises
        ------
        ClosedError
            If the measurement has been closed.
        """
        self._live().detach()

    def _ring(self) -> _rtrace.RingBuffer:
        session = self._live()
        if session.ring is None:
            message = f"the measurement of `{self._options.target}` keeps no records: make it with records=True"
            raise ValueError(message)
        return session.ring

    def _read(self) -> Histogram:
        session, options = self._live(), self._options
        observed = session.observed()
        return self._histogram(
            session,
            options.split,
            tool=options.tool,
            losses=session.losses(),
            nested=observed.pop("nested"),
            observed=observed,
            options=options.facts(),
        )

    def _live(self) -> FunctionSession:
        self._check_open()
        return self._session

    def losses(self) -> dict[str, int]:
        """Return how many calls are missing so far, by cause; what did not occur is left out."""
        return self._live().losses()

    @property
    def below_minimum(self) -> int:
        """Number of calls faster than ``min_latency``, which are not in the histogram."""
        return int(self._live().sums("OBSERVED")["below_minimum"])

    @property
    def storage(self) -> str:
        """Where start times are kept: ``"task"`` (task storage, Linux 5.12) or ``"hash"``."""
        return self._live().storage

    def _release(self) -> None:
        self._session.close()

    def __repr__(self) -> str:
        """Name the measurement."""
        state = "closed" if self.closed else f"mechanism={self.mechanism}"
        return f"<FunctionLatency {self._options.target} {state}>"


@overload
def function_latency(
    target: str,
    *,
    duration: float,
    mechanism: Mechanism = ...,
    unit: Unit = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    min_latency: float | None = ...,
    by: GroupBy | None = ...,
    max_groups: int = ...,
    records: bool = ...,
    ring_bytes: int = ...,
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
    tool: str = ...,
) -> Histogram: ...


@overload
def function_latency(
    target: str,
    *,
    duration: None = ...,
    interval: float = ...,
    count: int | None = ...,
    mechanism: Mechanism = ...,
    unit: Unit = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    min_latency: float | None = ...,
    by: GroupBy | None = ...,
    max_groups: int = ...,
    records: bool = ...,
    ring_bytes: int = ...,
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
    tool: str = ...,
) -> FunctionLatency: ...


def function_latency(  # noqa: PLR0913  # keyword-only options, each off by default
    target: str,
    *,
    duration: float | None = None,
    interval: float = 1.0,
    count: int | None = None,
    mechanism: Mechanism = "auto",
    unit: Unit = "us",
    pid: int | None = None,
    tid: int | None = None,
    cgroup: str | os.PathLike[str] | int | None = None,
    min_latency: float | None = None,
    by: GroupBy | None = None,
    max_groups: int = 1024,
    records: bool = False,
    ring_bytes: int = RING_BYTES,
    wakeup_bytes: int | None = None,
    max_bytes: int = MAX_BYTES,
    when_full: WhenFull = "wait",
    tool: str = "function_latency",
) -> Histogram | FunctionLatency:
    """Time a kernel function and count its latencies in a log2 histogram, in the kernel.

    With `duration` it measures that long and returns the histogram. Without, it returns the running measurement: a
    context manager to take snapshots of, and an iterable of one histogram for each `interval`.

    Every call counts, also one that a thread makes inside another (stacked file systems do this to ``vfs_read``);
    ``nested`` says how many of the calls were such. Calls under way when tracing begins or ends are not counted.

    Parameters
    ----------
    target
        Name of the function, as ``"vfs_read"``; ``rtrace functions PATTERN`` lists them.
    duration
        Seconds to measure.
    interval
        Seconds between the histograms when iterated over.
    count
        Number of histograms when iterated over; None goes on until the loop is left.
    mechanism
        ``"fentry"``, ``"kprobe"``, ``"syscall"``, or ``"auto"`` for the first of them that works here.
    unit
        Unit of the histogram's buckets: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``.
    pid, tid
        Only calls of this process or thread, numbered as in rtrace's own pid namespace.
    cgroup
        Only calls of tasks in this version 2 cgroup or below it: its folder, its path, or its id.
    min_latency
        Only calls that took at least this long, seconds.
    by
        Split into one histogram per ``"pid"``, ``"tid"``, ``"comm"`` or ``"cpu"``.
    max_groups
        Most histograms when split; calls beyond are counted as lost.
    records
        Whether to keep a record of each call as well, for :meth:`FunctionLatency.read`.
    ring_bytes, wakeup_bytes, max_bytes, when_full
        How records come from the kernel to you, as for :func:`tracepoint_events`.
    tool
        Name of the result's maker, kept in it.

    Returns
    -------
    Histogram or FunctionLatency
        Counts per log2 bucket of the latency in `unit` (CLOCK_MONOTONIC), with the facts of the measurement.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such function (near matches in ``suggestions``), or there is no such task or cgroup.
    NotSupportedError
        If the kernel lacks the named mechanism.
    PrivilegeError
        If capabilities are missing, or a security module refuses.
    AttachError
        If the function exists but cannot be traced.

    Warns
    -----
    LostEventsWarning
        If calls are missing from the result; ``losses`` says how many and why.

    Notes
    -----
    Kernel: 5.10 or newer; fentry needs BTF, kprobe CONFIG_KPROBES. Privilege: CAP_BPF and CAP_PERFMON, or root.

    Kretprobes have a fixed number of instances (twice the CPUs, at least 10): threads that sleep in the function
    hold one each, and when none is left returns are missed. They are counted; fentry has no such limit.

    References
    ----------
    https://docs.kernel.org/trace/kprobes.html, https://docs.kernel.org/bpf/bpf_prog_run.html

    Examples
    --------
    >>> hist = rtrace.function_latency("vfs_read", duration=5)  # doctest: +SKIP
    >>> hist.percentile(99)  # doctest: +SKIP
    Bounds(low=8, high=16)
    """
    duration = option_checks.maybe_seconds("duration", duration)
    interval, count = check_intervals(interval, count)
    options = Options(
        target=target,
        mechanism=mechanism,
        unit=unit,
        tasks=targets.Tasks(pid, tid, cgroup),
        min_latency=min_latency,
        by=by,
        max_groups=max_groups,
        records=records,
        ring=RingOptions(ring_bytes=ring_bytes, wakeup_bytes=wakeup_bytes, max_bytes=max_bytes, when_full=when_full),
        tool=tool,
    )
    session = FunctionLatency(options, interval=interval, count=count)
    if duration is None:
        return session
    with session:
        time.sleep(duration)
        return session.snapshot()
