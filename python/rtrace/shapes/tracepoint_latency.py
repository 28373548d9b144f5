"""Tracepoint latency: the time between two tracepoints, joined by a key made of their fields.

The programs are those of ``ebpf/programs/src/tracepoint_latency.rs``; this file sets their options, and turns what they
record and count into a :class:`~rtrace.Trace` and a :class:`~rtrace.Histogram`.
"""

from __future__ import annotations

import contextlib
from functools import partial

from rtrace import _rtrace, option_checks, tracefs
from rtrace.shapes import block_requests, filters, pair_plan, record_plan
from rtrace.shapes.counting import check_intervals
from rtrace.shapes.latency_options import apply_counting, check_entries, check_field_bytes, check_unit
from rtrace.shapes.pair_counting import TracepointLatency
from rtrace.shapes.recording import Recording
from rtrace.shapes.records import Records
from rtrace.shapes.ring_options import MAX_BYTES, RING_BYTES, SMALLEST, RingOptions
from rtrace.shapes.session import PairSession
from rtrace.shapes.targets import Tasks
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from typing import Literal, Required, TypedDict, Unpack

    from rtrace.histogram import Histogram, Unit
    from rtrace.shapes.ring_options import WhenFull
    from rtrace.trace import Trace

    Output = Literal["records", "histogram", "both"]

    class Options(TypedDict, total=False):
        """The options that say nothing of what is returned."""

        key: Required[str | Sequence[str]]
        fields: Sequence[str] | None
        end_fields: Sequence[str] | None
        filter: str | None
        min_latency: float | None
        pid: int | None
        tid: int | None
        cgroup: str | os.PathLike[str] | int | None
        unit: Unit
        by: str | None
        max_groups: int
        interval: float
        count: int | None
        max_text: int
        max_starts: int
        ring_bytes: int
        wakeup_bytes: int | None
        max_bytes: int
        when_full: WhenFull
        tool: str


__all__ = ["tracepoint_latency"]

MAX_STARTS = 16384
OUTPUTS = ("records", "histogram", "both")


@overload
def tracepoint_latency(
    start: str, end: str, *, duration: float, output: Literal["records"] = ..., **options: Unpack[Options]
) -> Trace: ...


@overload
def tracepoint_latency(
    start: str, end: str, *, duration: None = ..., output: Literal["records"] = ..., **options: Unpack[Options]
) -> Recording: ...


@overload
def tracepoint_latency(
    start: str, end: str, *, duration: float, output: Literal["histogram"], **options: Unpack[Options]
) -> Histogram: ...


@overload
def tracepoint_latency(
    start: str, end: str, *, duration: float, output: Literal["both"], **options: Unpack[Options]
) -> tuple[Histogram, Trace]: ...


@overload
def tracepoint_latency(
    start: str, end: str, *, duration: None = ..., output: Literal["histogram", "both"], **options: Unpack[Options]
) -> TracepointLatency: ...


def tracepoint_latency(  # noqa: PLR0913  # keyword-only options, each off by default
    start: str,
    end: str,
    *,
    key: str | Sequence[str],
    duration: float | None = None,
    output: Output = "records",
    fields: Sequence[str] | None = None,
    end_fields: Sequence[str] | None = None,
    filter: str | None = None,  # noqa: A002  # the word everybody uses for it
    min_latency: float | None = None,
    pid: int | None = None,
    tid: int | None = None,
    cgroup: str | os.PathLike[str] | int | None = None,
    unit: Unit = "us",
    by: str | None = None,
    max_groups: int = 1024,
    interval: float = 1.0,
    count: int | None = None,
    max_text: int = 64,
    max_starts: int = MAX_STARTS,
    ring_bytes: int = RING_BYTES,
    wakeup_bytes: int | None = None,
    max_bytes: int = MAX_BYTES,
    when_full: WhenFull = "wait",
    tool: str = "tracepoint_latency",
) -> Trace | Recording | Histogram | TracepointLatency | tuple[Histogram, Trace]:
    """Time what lies between two tracepoints: a record for each pair with the same key, a histogram of them, or both.

    The start remembers the time, who caused it, and its fields; the end with the same key makes the record. The end
    runs in whatever context an interrupt finds, so its own process says nothing: ``pid``, ``tid`` and ``comm`` are
    those of the start. The histogram is counted in the kernel, with no record at all unless you want both.

    Parameters
    ----------
    start, end
        The tracepoints, as ``"block:block_rq_issue"`` and ``"block:block_rq_complete"``.
    key
        Names of up to 4 integer fields that both have and that tell what is under way apart, as ``("dev", "sector")``;
        ``"tid"`` is the thread that hits both, ``"cpu"`` the CPU (where the tracepoints have no field of that name).
        For ``block:block_rq_issue`` and ``block:block_rq_complete``, ``"request"`` is the kernel's own pointer to the
        request: exact, where sectors collide (flushes all have sector 0), and by raw tracepoints, which no other
        program on the same CPU keeps from running.
    duration
        Seconds to measure; None returns what is running.
    output
        ``"records"``, ``"histogram"``, or ``"both"``.
    fields
        Fields of the start to record; None takes all that have a fixed place.
    end_fields
        Fields of the end to record; None takes those with a fixed place that the start does not have.
    unit
        Unit of the histogram's buckets: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``.
    by
        Split the histogram into one per value of this: ``"pid"``, ``"tid"`` or ``"comm"`` of the start, ``"cpu"`` of
        the end, or a field of either, named as its column in records: an integer, or a text of up to 16 bytes.
    max_groups
        Most histograms when split; pairs beyond are counted as lost (``groups_full``).
    interval, count
        Seconds between histograms when iterated over, and how many of them; None goes on until the loop is left.
    filter
        What starts must meet, decided in the kernel, as for :func:`tracepoint_events`.
    min_latency
        Only pairs at least so far apart, seconds.
    pid, tid, cgroup
        Only starts by these tasks, as for :func:`tracepoint_events`.
    max_text
        Most bytes of a string of any length; what is longer is cut.
    max_starts
        Most starts under way at a time; starts beyond are lost, and counted.
    ring_bytes, wakeup_bytes, max_bytes, when_full
        As for :func:`tracepoint_events`.
    tool
        Name of the result's maker, kept in it.

    Returns
    -------
    Trace or Recording
        Of records: ``ts_ns`` of the end (CLOCK_MONOTONIC, ns), ``latency_ns``, ``pid``, ``tid``, ``comm`` of the
        start, ``cpu`` of the end, and the fields.
    Histogram or TracepointLatency
        Of a histogram: counts per log2 bucket of the latency in `unit`.
    tuple of Histogram and Trace, or TracepointLatency
        Of both.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such tracepoint, task or cgroup.
    NotSupportedError
        If the kernel does not tell what a key of ``"request"`` needs to know.
    ValueError
        If there is no such field, a field cannot be a key or does not fit a group, options do not go together, or the
        filter cannot be understood.
    PrivilegeError
        If capabilities are missing, or tracefs cannot be read.

    Warns
    -----
    LostEventsWarning
        If pairs are missing from the result; ``losses`` says how many and why. Starts whose key another start takes
        over are among them. In ``observed``, and not lost, are ends without a start (``ends_unmatched``; it may have
        come before the measurement), starts whose end has not come when the result is made (``starts_not_ended``), and
        pairs faster than the minimum (``below_minimum``).

    Notes
    -----
    Kernel: 5.10 or newer; a key of ``"request"`` needs BTF. Privilege: in practice root.

    Examples
    --------
    >>> trace = rtrace.tracepoint_latency(  # doctest: +SKIP
    ...     "block:block_rq_issue", "block:block_rq_complete", key=("dev", "sector"), duration=5
    ... )
    >>> trace.histogram("latency_ns").print()  # doctest: +SKIP
    >>> hist = rtrace.tracepoint_latency(  # doctest: +SKIP
    ...     "irq:softirq_entry", "irq:softirq_exit", key=("cpu", "vec"), output="histogram", by="vec", duration=5
    ... )
    """
    duration = option_checks.maybe_seconds("duration", duration)
    min_latency = option_checks.maybe_seconds("min_latency", min_latency, zero=True)
    max_starts = check_entries("max_starts", max_starts)
    check_field_bytes(max_text=max_text)
    max_groups = check_entries("max_groups", max_groups)
    option_checks.text("tool", tool)
    parts = option_checks.names("key", key)
    check_output(output, by, fields, end_fields)
    interval, count = check_intervals(interval, count)
    check_unit(unit)
    ring_options = RingOptions(
        ring_bytes=ring_bytes, wakeup_bytes=wakeup_bytes, max_bytes=max_bytes, when_full=when_full
    )
    tasks = Tasks(pid, tid, cgroup)
    by_request = parts == (block_requests.KEY,)
    if by_request:
        pair_plan.check_requests(start, end)
        texts = block_requests.format_texts()
    else:
        texts = tracefs.format_text(start), tracefs.format_text(end)
    forms = _rtrace.parse_format(texts[0]), _rtrace.parse_format(texts[1])
    keeps, counts = output != "histogram", output != "records"
    split, plans = pair_plan.plan(forms, texts, by, (fields, end_fields) if keeps else ((), ()), max_text)
    spec = _rtrace.ObjectSpec.prebuilt("tracepoint_latency")
    tasks.apply(spec)
    if by_request:
        block_requests.apply(spec)
    pair_plan.set_key(spec, parts, forms)
    pair_plan.apply(spec, plans)
    spec.set_global("RECORD_PAIRS", int(keeps))
    spec.set_global("COUNT_PAIRS", int(counts))
    if keeps:
        ring_options.apply(spec)
    else:
        spec.set_max_entries("EVENTS", SMALLEST)
    apply_counting(spec, unit, min_latency, split, max_groups)
    if filter is not None:
        spec.set_global("FILTER", filters.table(_rtrace.parse_filter(option_checks.text("filter", filter), texts[0])))
    spec.set_max_entries("STARTS", max_starts)
    given = {**tasks.facts(), "filter": filter, "min_latency": min_latency}
    options = {name: value for name, value in given.items() if value is not None}
    make_ring = partial(ring_options.open, record_bytes=plans[1].record_bytes) if keeps else None
    records = Records(
        open_session(spec, (start, end), make_ring, tasks, by_request=by_request, filtered=bool(options)),
        f"{start} -> {end}",
        tool=tool,
        make_dtype=plans[1].dtype,
        make_fields=lambda names: record_plan.field_facts(texts, names),
        options=options,
    )
    if not counts:
        recording = Recording(records)
        if duration is None:
            return recording
        with recording:
            return recording.record(duration)
    measurement = TracepointLatency(
        records,
        split,
        boundary=f"{start} to the next {end} with the same {' and '.join(parts)}",
        facts={"tool": tool, "options": options},
        unit=unit,
        interval=interval,
        count=count,
    )
    if duration is None:
        return measurement
    with measurement:
        return measurement.record(duration) if keeps else measurement.measure(duration)


def open_session(  # noqa: PLR0913  # one caller
    spec: _rtrace.ObjectSpec,
    targets: tuple[str, str],
    make_ring: Callable[[_rtrace.Object], _rtrace.RingBuffer] | None,
    tasks: Tasks,
    *,
    by_request: bool,
    filtered: bool,
) -> PairSession:
    """Load and attach; leave nothing behind if that fails."""
    # Ends first, so that no start goes unanswered.
    sides = [(f"tplat_{'rq_' if by_request else ''}{side}", targets[side == "end"]) for side in ("end", "start")]
    with contextlib.ExitStack() as stack:
        loaded = stack.enter_context(spec.load({program: None for program, _ in sides}))
        tasks.set_cgroup(loaded)
        ring = stack.enter_context(make_ring(loaded)) if make_ring is not None else None
        links = []
        for program, target in sides:
            category, name = tracefs.split(target)
            if by_request:
                link = loaded.attach_raw_tracepoint(program, name)
            else:
                link = loaded.attach_tracepoint(program, category, name)
            links.append(stack.enter_context(link))
        stack.pop_all()
    return PairSession(loaded, links, ring, filtered=filtered)


def check_output(output: str, by: str | None, fields: Sequence[str] | None, end_fields: Sequence[str] | None) -> None:
    """Refuse an output that there is not, and options of another one."""
    option_checks.choice("output", output, OUTPUTS)
    if by is not None:
        option_checks.text("by", by)
    if output == "records" and by is not None:
        message = f"by={by!r} splits a histogram: it needs output='histogram' or 'both'"
        raise ValueError(message)
    if output == "histogram" and (fields is not None or end_fields is not None):
        message = "fields and end_fields are those of records: they need output='records' or 'both'"
        raise ValueError(message)
