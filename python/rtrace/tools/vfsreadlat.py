"""vfsreadlat: how long reads take."""

from __future__ import annotations

from rtrace.shapes.function_latency import FunctionLatency, function_latency
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.histogram import Histogram


TARGET = "vfs_read"


@overload
def vfsreadlat(*, duration: float, **options: Any) -> Histogram: ...


@overload
def vfsreadlat(*, duration: None = ..., **options: Any) -> FunctionLatency: ...


def vfsreadlat(*, duration: float | None = None, **options: Any) -> Histogram | FunctionLatency:
    """Time reads: the kernel function ``vfs_read``, through which every read of a file, pipe or socket goes.

    Takes the options of :func:`~rtrace.function_latency`, and raises and returns what it does.

    Parameters
    ----------
    duration
        Seconds to measure; None returns the running measurement.
    **options
        As of :func:`~rtrace.function_latency`.

    Returns
    -------
    Histogram or FunctionLatency
        Latencies of reads in log2 buckets, microseconds unless `unit` says otherwise.

    Raises
    ------
    PrivilegeError
        Without CAP_BPF and CAP_PERFMON.

    Notes
    -----
    Kernel: 5.10 or newer. Where neither fentry nor kprobes are allowed, the system calls read and pread64 are timed
    instead; the result's ``mechanism`` and ``boundary`` say so.

    Examples
    --------
    >>> with rtrace.vfsreadlat(by="comm") as reads:  # doctest: +SKIP
    ...     time.sleep(1)
    ...     reads.snapshot().print()
    """
    return function_latency(TARGET, duration=duration, tool="vfsreadlat", **options)
