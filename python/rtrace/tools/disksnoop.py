"""disksnoop: every request to a disk, its size and how long it took."""

from __future__ import annotations

from rtrace.shapes import block_requests
from rtrace.shapes.tracepoint_latency import tracepoint_latency
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from rtrace.histogram import Histogram
    from rtrace.shapes.pair_counting import TracepointLatency
    from rtrace.shapes.recording import Recording
    from rtrace.shapes.tracepoint_latency import Output
    from rtrace.trace import Trace

    Key = str | Sequence[str] | None

START, END = block_requests.TARGETS
# For kernels that do not describe their structs.
FIELDS_KEY = ("dev", "sector")
FIELDS = ("dev", "sector", "bytes", "rwbs")


@overload
def disksnoop(*, duration: float, key: Key = ..., output: Literal["records"] = ..., **options: Any) -> Trace: ...


@overload
def disksnoop(
    *, duration: None = ..., key: Key = ..., output: Literal["records"] = ..., **options: Any
) -> Recording: ...


@overload
def disksnoop(*, duration: float, key: Key = ..., output: Literal["histogram"], **options: Any) -> Histogram: ...


@overload
def disksnoop(
    *, duration: float, key: Key = ..., output: Literal["both"], **options: Any
) -> tuple[Histogram, Trace]: ...


@overload
def disksnoop(
    *, duration: None = ..., key: Key = ..., output: Literal["histogram", "both"], **options: Any
) -> TracepointLatency: ...


def disksnoop(
    *, duration: float | None = None, key: Key = None, output: Output = "records", **options: Any
) -> Trace | Recording | Histogram | TracepointLatency | tuple[Histogram, Trace]:
    """Record requests to disks: from when a driver gets one to when it is done.

    Takes the options of :func:`~rtrace.tracepoint_latency`, and raises and returns what it does.

    Parameters
    ----------
    duration
        Seconds to measure; None returns what is running.
    key
        What tells requests under way apart: ``"request"``, the kernel's own pointer, is exact;
        ``("dev", "sector")`` confuses flushes, which all have sector 0; ``"dev"`` confuses requests of one disk that
        are under way together: all but the last of them are lost, and counted as ``starts_overwritten``. None takes
        ``"request"`` where the kernel's BTF describes it, else ``("dev", "sector")``.
    output
        ``"records"``; ``"histogram"`` counts latencies in the kernel instead, with ``by="rwbs"`` or ``by="dev"`` into
        one histogram each; or ``"both"``.
    **options
        As of :func:`~rtrace.tracepoint_latency`.

    Returns
    -------
    Trace or Recording, Histogram or TracepointLatency
        What :func:`~rtrace.tracepoint_latency` returns. One record for each request: ``latency_ns``, ``dev`` (kernel
        dev_t), ``sector`` (of 512 bytes), ``bytes``, ``rwbs`` (what it is: R, W, D discard, F flush; S sync,
        M metadata), and the task that issued it.

    Raises
    ------
    PrivilegeError
        Without CAP_BPF and CAP_PERFMON, or where tracefs cannot be read.

    Notes
    -----
    Kernel: 5.10 or newer. ``pid`` and ``comm`` are those of the task that issued the request, which for writes is
    often the kernel's own thread that writes pages back.

    Examples
    --------
    >>> requests = rtrace.disksnoop(duration=5)  # doctest: +SKIP
    >>> requests.histogram("latency_ns", by="rwbs").print()  # doctest: +SKIP
    """
    if key is None:
        key = block_requests.KEY if block_requests.described() else FIELDS_KEY
    fields = None if output == "histogram" else FIELDS
    more: Any = {"duration": duration, "output": output, "fields": fields, "tool": "disksnoop", **options}
    measured: Trace | Recording | Histogram | TracepointLatency | tuple[Histogram, Trace]
    measured = tracepoint_latency(START, END, key=key, **more)
    return measured
