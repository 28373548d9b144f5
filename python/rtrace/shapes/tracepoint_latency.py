"""Tracepoint latency: the time between two tracepoints, joined by a key made of their fields.

The programs are those of ``ebpf/programs/src/tracepoint_latency.rs``; this file lays out keys and records.
"""

from __future__ import annotations

import contextlib
import struct

from rtrace import _rtrace, tracefs
from rtrace.shapes import block_requests, filters, record_plan, targets
from rtrace.shapes.latency_options import LONGEST, check_field_bytes, check_seconds
from rtrace.shapes.recording import Recording
from rtrace.shapes.ring_options import MAX_BYTES, RING_BYTES, RingOptions
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

    from rtrace.shapes.ring_options import WhenFull
    from rtrace.trace import Trace

    Format = dict[str, Any]

__all__ = ["tracepoint_latency"]

# As in ebpf/common/src/tracepoint_latency.rs.
KEY_PARTS = 4
# What a part of a key is (module `source` of ebpf/common/src/entry.rs): a field, or who and where it happens.
FIELD_PART = 1
TASK_PARTS = {"tid": 3, "cpu": 4}
MAX_STARTS = 16384


@overload
def tracepoint_latency(
    start: str,
    end: str,
    *,
    key: str | Sequence[str],
    duration: float,
    fields: Sequence[str] | None = ...,
    end_fields: Sequence[str] | None = ...,
    filter: str | None = ...,
    min_latency: float | None = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    max_text: int = ...,
    max_starts: int = ...,
    ring_bytes: int = ...,
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
    tool: str = ...,
) -> Trace: ...


@overload
def tracepoint_latency(
    start: str,
    end: str,
    *,
    key: str | Sequence[str],
    duration: None = ...,
    fields: Sequence[str] | None = ...,
    end_fields: Sequence[str] | None = ...,
    filter: str | None = ...,
    min_latency: float | None = ...,
    pid: int | None = ...,
    tid: int | None = ...,
    cgroup: str | os.PathLike[str] | int | None = ...,
    max_text: int = ...,
    max_starts: int = ...,
    ring_bytes: int = ...,
    wakeup_bytes: int | None = ...,
    max_bytes: int = ...,
    when_full: WhenFull = ...,
    tool: str = ...,
) -> Recording: ...


def tracepoint_latency(  # noqa: PLR0913  # keyword-only options, each off by default
    start: str,
    end: str,
    *,
    key: str | Sequence[str],
    duration: float | None = None,
    fields: Sequence[str] | None = None,
    end_fields: Sequence[str] | None = None,
    filter: str | None = None,  # noqa: A002  # the word everybody uses for it
    min_latency: float | None = None,
    pid: int | None = None,
    tid: int | None = None,
    cgroup: str | os.PathLike[str] | int | None = None,
    max_text: int = 64,
    max_starts: int = MAX_STARTS,
    ring_bytes: int = RING_BYTES,
    wakeup_bytes: int | None = None,
    max_bytes: int = MAX_BYTES,
    when_full: WhenFull = "wait",
    tool: str = "tracepoint_latency",
) -> Trace | Recording:
    """Record the time between two tracepoints, one record for each pair with the same key.

    The start remembers the time, who caused it, and its fields; the end with the same key makes the record. The end
    runs in whatever context an interrupt finds, so its own process says nothing: ``pid``, ``tid`` and ``comm`` are
    those of the start.

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
        Seconds to record.
    fields
        Fields of the start to record; None takes all that have a fixed place.
    end_fields
        Fields of the end to record; None takes those with a fixed place that the start does not have.
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
        Records with ``ts_ns`` of the end (CLOCK_MONOTONIC, ns), ``latency_ns``, ``pid``, ``tid``, ``comm`` of the
        start, ``cpu`` of the end, and the fields.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such tracepoint, task or cgroup.
    NotSupportedError
        If the kernel does not tell what a key of ``"request"`` needs to know.
    ValueError
        If there is no such field, a field cannot be a key, or the filter cannot be understood.
    PrivilegeError
        If capabilities are missing, or tracefs cannot be read.

    Warns
    -----
    LostEventsWarning
        If pairs are missing from the trace; ``losses`` says how many and why. Starts whose key another start takes
        over are among them; ends without a start are counted in ``observed``, because one may have begun before.

    Notes
    -----
    Kernel: 5.10 or newer; a key of ``"request"`` needs BTF. Privilege: in practice root.

    Examples
    --------
    >>> trace = rtrace.tracepoint_latency(  # doctest: +SKIP
    ...     "block:block_rq_issue", "block:block_rq_complete", key=("dev", "sector"), duration=5
    ... )
    >>> trace.histogram("latency_ns").print()  # doctest: +SKIP
    """
    check_seconds("duration", duration)
    check_field_bytes(max_text=max_text)
    check(min_latency, max_starts)
    ring_options = RingOptions(
        ring_bytes=ring_bytes, wakeup_bytes=wakeup_bytes, max_bytes=max_bytes, when_full=when_full
    )
    tasks = targets.Tasks(pid, tid, cgroup)
    by_request = key == block_requests.KEY
    if by_request:
        check_requests(start, end)
        texts = block_requests.format_texts()
    else:
        texts = tracefs.format_text(start), tracefs.format_text(end)
    forms = _rtrace.parse_format(texts[0]), _rtrace.parse_format(texts[1])
    plans = lay_out(forms, fields, end_fields, max_text)
    spec = _rtrace.ObjectSpec.prebuilt("tracepoint_latency")
    tasks.apply(spec)
    if by_request:
        block_requests.apply(spec)
    set_key(spec, (key,) if isinstance(key, str) else tuple(key), forms)
    spec.set_global("START_SEGMENTS", plans[0].table())
    spec.set_global("END_SEGMENTS", plans[1].table())
    spec.set_global("CARRIED_BYTES", plans[1].base - plans[0].base)
    spec.set_global("RECORD_BYTES", plans[1].record_bytes)
    ring_options.apply(spec)
    spec.set_global("MIN_LATENCY_NS", round((min_latency or 0) * 1e9))
    if filter is not None:
        spec.set_global("FILTER", filters.table(_rtrace.parse_filter(filter, texts[0])))
    spec.set_max_entries("STARTS", max_starts)
    # Ends first, so that no start goes unanswered.
    sides = [
        (f"tplat_{'rq_' if by_request else ''}{side}", target) for side, target in (("end", end), ("start", start))
    ]
    with contextlib.ExitStack() as stack:
        loaded = stack.enter_context(spec.load({program: None for program, _ in sides}))
        tasks.set_cgroup(loaded)
        ring = stack.enter_context(ring_options.open(loaded, plans[1].record_bytes))
        links = []
        for program, target in sides:
            category, name = tracefs.split(target)
            if by_request:
                link = loaded.attach_raw_tracepoint(program, name)
            else:
                link = loaded.attach_tracepoint(program, category, name)
            links.append(stack.enter_context(link))
        stack.pop_all()
    options = {**tasks.facts(), "filter": filter, "min_latency": min_latency}
    recording = Recording(
        f"{start} -> {end}",
        loaded,
        ring,
        links,
        tool=tool,
        make_dtype=plans[1].dtype,
        make_fields=lambda names: record_plan.field_facts(texts, names),
        options={name: value for name, value in options.items() if value is not None},
    )
    if duration is None:
        return recording
    with recording:
        return recording.record(duration)


def check(min_latency: float | None, max_starts: int) -> None:
    """Refuse options that make no sense."""
    if min_latency is not None and not 0 <= min_latency < LONGEST:
        message = f"min_latency is a time in seconds, not {min_latency!r}"
        raise ValueError(message)
    if not 0 < max_starts < 2**24:
        message = f"max_starts must be positive and below {2**24}, not {max_starts!r}"
        raise ValueError(message)


def lay_out(
    forms: tuple[Format, Format], fields: Sequence[str] | None, end_fields: Sequence[str] | None, max_text: int
) -> tuple[record_plan.Plan, record_plan.Plan]:
    """Lay the record out: the header, what is carried from the start, the end's own fields."""
    first, last = (record_plan.choose(form, names) for form, names in zip(forms, (fields, end_fields), strict=True))
    if fields is None:
        first = [field for field in first if field["kind"] != "dynamic"]
    if end_fields is None:
        known = {field["name"] for field in forms[0]["fields"]}
        last = [field for field in last if field["kind"] != "dynamic" and field["name"] not in known]
    start = record_plan.Plan(
        first,
        max_text=max_text,
        max_array=max_text,
        before=record_plan.LATENCY_HEADER,
        base=record_plan.LATENCY_HEADER_BYTES,
        limit=record_plan.MAX_CARRIED,
    )
    end = record_plan.Plan(last, max_text=max_text, max_array=max_text, before=start.columns, base=start.record_bytes)
    return start, end


def check_requests(start: str, end: str) -> None:
    """Refuse the key of requests for other tracepoints than those of requests."""
    if (start, end) != block_requests.TARGETS:
        message = f"key {block_requests.KEY!r} is for {' and '.join(block_requests.TARGETS)}, not {start} and {end}"
        raise ValueError(message)


def set_key(spec: _rtrace.ObjectSpec, names: Sequence[str], forms: tuple[Format, Format]) -> None:
    """Tell the programs what makes the key."""
    if not 0 < len(names) <= KEY_PARTS:
        message = f"a key has 1 to {KEY_PARTS} fields, not {len(names)}"
        raise ValueError(message)
    packed: tuple[list[bytes], list[bytes]] = ([], [])
    for name in names:
        if name in TASK_PARTS and not all(has_field(form, name) for form in forms):
            pair = [{"offset": 0, "size": 0, "signed": False}] * 2
            source = TASK_PARTS[name]
        else:
            pair = [key_field(form, name) for form in forms]
            source = FIELD_PART
        # Bits are compared: of the same size, whether they are signed does not matter.
        widened = pair[0]["size"] != pair[1]["size"]
        for parts, field in zip(packed, pair, strict=True):
            parts.append(struct.pack("=I4B", field["offset"], field["size"], field["signed"] and widened, source, 0))
    for variable, parts in zip(("START_KEY", "END_KEY"), packed, strict=True):
        spec.set_global(variable, b"".join(parts).ljust(KEY_PARTS * 8, b"\0"))


def has_field(form: Format, name: str) -> bool:
    """Whether a tracepoint has a field of that name."""
    return any(field["name"] == name for field in form["fields"])


def key_field(form: Format, name: str) -> dict[str, Any]:
    """Return a field of a key, which must be an integer."""
    (field,) = record_plan.choose(form, [name])
    if field["kind"] not in {"integer", "enum", "pointer", "bool"} or field["size"] not in {1, 2, 4, 8}:
        message = f"`{form['name']}`: {field['name']} is {field['c_type']}, which cannot be part of a key"
        raise ValueError(message)
    return field
