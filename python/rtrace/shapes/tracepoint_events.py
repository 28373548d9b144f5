"""Tracepoint events: every hit of a tracepoint as a record, with the fields that the tracepoint's ``format`` tells.

The program is that of ``ebpf/programs/src/tracepoint_events.rs``; this file reads the format, lays the record out, and
hands the reader's batches on.
"""

from __future__ import annotations

import contextlib

from rtrace import _rtrace, tracepoints
from rtrace.shapes import filters, record_plan, targets
from rtrace.shapes.latency_options import LONGEST, check_ring_bytes
from rtrace.shapes.recording import Recording
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from rtrace.trace import Trace

__all__ = ["tracepoint_events"]

# Room for a few hundred thousand small records.
RING_BYTES = 16 << 20
# Most that is held for a reader that does not come.
MAX_BYTES = 256 << 20
# The reader is woken when this part of the ring is full; it also looks by itself.
WAKEUP_PART = 8


@overload
def tracepoint_events(
    target: str,
    *,
    duration: float,
    fields: Sequence[str] | None = ...,
    filter: str | None = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    max_text: int = ...,
    max_array: int = ...,
    ring_bytes: int = ...,
    max_bytes: int = ...,
    tool: str = ...,
) -> Trace: ...


@overload
def tracepoint_events(
    target: str,
    *,
    duration: None = ...,
    fields: Sequence[str] | None = ...,
    filter: str | None = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    max_text: int = ...,
    max_array: int = ...,
    ring_bytes: int = ...,
    max_bytes: int = ...,
    tool: str = ...,
) -> Recording: ...


def tracepoint_events(  # noqa: PLR0913  # keyword-only options, each off by default
    target: str,
    *,
    duration: float | None = None,
    fields: Sequence[str] | None = None,
    filter: str | None = None,  # noqa: A002  # the word everybody uses for it
    pid: int | None = None,
    tid: int | None = None,
    cgroup: str | os.PathLike[str] | int | None = None,
    max_text: int = 64,
    max_array: int = 64,
    ring_bytes: int = RING_BYTES,
    max_bytes: int = MAX_BYTES,
    tool: str = "tracepoint_events",
) -> Trace | Recording:
    """Record every hit of a tracepoint, with its fields, as numpy records.

    With `duration` it records that long and returns the trace. Without, it returns the running recording: a context
    manager to read batches from.

    Parameters
    ----------
    target
        The tracepoint, as ``"block:block_rq_issue"``; ``rtrace list PATTERN`` lists them.
    duration
        Seconds to record.
    fields
        Names of the fields to record, as ``rtrace format`` lists them; None takes all but the common ones.
    filter
        What hits must meet, decided in the kernel: ``"dev == 254 and bytes >= 4096"``, ``'comm == "dd"'``. Names are
        those of all fields, and pid, tid, cpu, comm.
    pid, tid
        Only hits by this process or thread, numbered as in rtrace's own pid namespace.
    cgroup
        Only hits by tasks in this version 2 cgroup or below it: its folder, its path, or its id.
    max_text
        Most bytes of a string of any length; what is longer is cut.
    max_array
        Most bytes of an array of any length; ``NAME_bytes`` says how many there were.
    ring_bytes
        Size of the ring buffer, a power of two.
    max_bytes
        Most bytes that are held for a reader; beyond, the ring fills up and records are lost, and counted.
    tool
        Name of the result's maker, kept in it.

    Returns
    -------
    Trace or Recording
        Records with ``ts_ns`` (CLOCK_MONOTONIC, ns), ``pid``, ``tid``, ``comm``, ``cpu``, and the fields.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such tracepoint (near matches in ``suggestions``), or there is no such task or cgroup.
    ValueError
        If there is no such field, or the filter cannot be understood.
    PrivilegeError
        If capabilities are missing, or tracefs cannot be read.

    Warns
    -----
    LostEventsWarning
        If records are missing from the trace; ``losses`` says how many and why.

    Notes
    -----
    Kernel: 5.10 or newer. Privilege: CAP_BPF and CAP_PERFMON, and reading tracefs: in practice root.

    References
    ----------
    https://docs.kernel.org/trace/events.html

    Examples
    --------
    >>> trace = rtrace.tracepoint_events("sched:sched_switch", duration=1)  # doctest: +SKIP
    >>> trace.to_pandas().groupby("next_comm").size()  # doctest: +SKIP
    """
    if duration is not None and not 0 < duration < LONGEST:
        message = f"duration must be a positive time in seconds, not {duration!r}"
        raise ValueError(message)
    for name, size in (("max_text", max_text), ("max_array", max_array)):
        if not 0 < size <= record_plan.MAX_PAYLOAD or size % 8:
            message = f"{name} must be a multiple of 8 up to {record_plan.MAX_PAYLOAD}, not {size!r}"
            raise ValueError(message)
    check_ring_bytes(ring_bytes)
    tasks = targets.Tasks(pid, tid, cgroup)
    text = tracepoints.format_text(target)
    form = _rtrace.parse_format(text)
    plan = record_plan.Plan(record_plan.choose(form, fields), max_text=max_text, max_array=max_array)
    spec = _rtrace.ObjectSpec.prebuilt("tracepoint_events")
    tasks.apply(spec)
    spec.set_global("SEGMENTS_COPIED", plan.table())
    spec.set_global("RECORD_BYTES", plan.record_bytes)
    spec.set_global("WAKEUP_BYTES", ring_bytes // WAKEUP_PART)
    if filter is not None:
        spec.set_global("FILTER", filters.table(_rtrace.parse_filter(filter, text)))
    spec.set_max_entries("EVENTS", ring_bytes)
    with contextlib.ExitStack() as stack:
        loaded = stack.enter_context(spec.load({"tpev_hit": None}))
        tasks.set_cgroup(loaded)
        ring = loaded.ring_buffer("EVENTS", record_bytes=plan.record_bytes, max_bytes=max_bytes)
        stack.enter_context(ring)
        link = stack.enter_context(loaded.attach_tracepoint("tpev_hit", *tracepoints.split(target)))
        stack.pop_all()
    recording = Recording(
        target,
        loaded,
        ring,
        [link],
        tool=tool,
        make_dtype=plan.dtype,
        make_fields=lambda names: record_plan.field_facts([form], names),
        options={**tasks.facts(), **({} if filter is None else {"filter": filter})},
    )
    if duration is None:
        return recording
    with recording:
        return recording.record(duration)
