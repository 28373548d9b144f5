"""Tracepoint events: every hit of a tracepoint as a record, with the fields that the tracepoint's ``format`` tells.

The program is that of ``ebpf/programs/src/tracepoint_events.rs``; this file reads the format, lays the record out, and
hands the reader's batches on.
"""

from __future__ import annotations

import contextlib

from rtrace import _rtrace, option_checks, tracefs
from rtrace.shapes import filters, record_plan, targets
from rtrace.shapes.latency_options import check_field_bytes
from rtrace.shapes.recording import Recording
from rtrace.shapes.records import Records
from rtrace.shapes.ring_options import MAX_BYTES, RING_BYTES, RingOptions
from rtrace.shapes.session import Session
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from rtrace.shapes.ring_options import WhenFull
    from rtrace.trace import Trace

__all__ = ["tracepoint_events"]


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
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
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
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
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
    wakeup_bytes: int | None = None,
    max_bytes: int = MAX_BYTES,
    when_full: WhenFull = "wait",
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
        Size of the ring buffer in the kernel, a power of two.
    wakeup_bytes
        Wake whoever reads when so many bytes wait in the ring; None means an eighth of it. Records below that come
        50 ms late at most. 0 wakes for every record, which costs the traced program several microseconds each.
    max_bytes
        Most bytes of records that are held for a reader.
    when_full
        What becomes of records when so many are held: ``"wait"`` leaves them in the ring, until that is full too and
        the kernel's side loses the newest; ``"drop_newest"`` and ``"drop_oldest"`` go on emptying the ring. In any
        case what is missing is counted: ``losses`` has it as ``records_lost`` or ``records_dropped``.
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
    duration = option_checks.maybe_seconds("duration", duration)
    option_checks.text("tool", tool)
    check_field_bytes(max_text=max_text, max_array=max_array)
    ring_options = RingOptions(
        ring_bytes=ring_bytes, wakeup_bytes=wakeup_bytes, max_bytes=max_bytes, when_full=when_full
    )
    tasks = targets.Tasks(pid, tid, cgroup)
    text = tracefs.format_text(target)
    form = _rtrace.parse_format(text)
    plan = record_plan.Plan(record_plan.choose(form, fields), max_text=max_text, max_array=max_array)
    spec = _rtrace.ObjectSpec.prebuilt("tracepoint_events")
    tasks.apply(spec)
    spec.set_global("SEGMENTS_COPIED", plan.table())
    spec.set_global("RECORD_BYTES", plan.record_bytes)
    ring_options.apply(spec)
    if filter is not None:
        spec.set_global("FILTER", filters.table(_rtrace.parse_filter(option_checks.text("filter", filter), text)))
    with contextlib.ExitStack() as stack:
        loaded = stack.enter_context(spec.load({"tpev_hit": None}))
        tasks.set_cgroup(loaded)
        ring = stack.enter_context(ring_options.open(loaded, plan.record_bytes))
        link = stack.enter_context(loaded.attach_tracepoint("tpev_hit", *tracefs.split(target)))
        stack.pop_all()
    options = {**tasks.facts(), **({} if filter is None else {"filter": filter})}
    recording = Recording(
        Records(
            Session(loaded, [link], ring, filtered=bool(options)),
            target,
            tool=tool,
            make_dtype=plan.dtype,
            make_fields=lambda names: record_plan.field_facts([text], names),
            options=options,
        )
    )
    if duration is None:
        return recording
    with recording:
        return recording.record(duration)
