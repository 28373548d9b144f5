"""Tracepoint events: every hit of a tracepoint as a record, with the fields that the tracepoint's ``format`` tells.

The program is that of ``ebpf/programs/src/tracepoint_events.rs``; this file reads the format, lays the record out, and
hands the reader's batches on.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from datetime import UTC, datetime

from rtrace import _rtrace, tracepoints
from rtrace.errors import ClosedError, LostEventsWarning
from rtrace.shapes import filters, record_plan, targets
from rtrace.shapes.function_latency import LONGEST, check_ring_bytes
from rtrace.typing_light import overload

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Sequence
    from typing import Any, Self

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.trace import Trace

__all__ = ["TracepointEvents", "tracepoint_events"]

# Room for a few hundred thousand small records.
RING_BYTES = 16 << 20
# Most that is held for a reader that does not come.
MAX_BYTES = 256 << 20
# The reader is woken when this part of the ring is full; it also looks by itself.
WAKEUP_PART = 8


class TracepointEvents:
    """A running recording of a tracepoint's hits; made by :func:`tracepoint_events`.

    Attached from its construction on until :meth:`close`. A context manager, and an iterable of batches. Losing the
    last reference detaches, with a ResourceWarning.
    """

    def __init__(  # noqa: PLR0913  # the keyword-only options of tracepoint_events
        self,
        target: str,
        *,
        fields: Sequence[str] | None,
        filter: str | None,  # noqa: A002  # the word everybody uses for it
        tasks: targets.Tasks,
        max_text: int,
        max_array: int,
        ring_bytes: int,
        max_bytes: int,
        tool: str,
    ) -> None:
        self._object: _rtrace.Object | None = None
        self.target = target
        self._tool = tool
        self._tasks = tasks
        self._filter = filter
        text = tracepoints.format_text(target)
        self.format: dict[str, Any] = _rtrace.parse_format(text)
        chosen = record_plan.choose(self.format, fields)
        self._plan = record_plan.Plan(chosen, max_text=max_text, max_array=max_array)
        spec = _rtrace.ObjectSpec.prebuilt("tracepoint_events")
        tasks.apply(spec)
        spec.set_global("SEGMENTS_COPIED", self._plan.table())
        spec.set_global("RECORD_BYTES", self._plan.record_bytes)
        spec.set_global("WAKEUP_BYTES", ring_bytes // WAKEUP_PART)
        if filter is not None:
            spec.set_global("FILTER", filters.table(_rtrace.parse_filter(filter, text)))
        spec.set_max_entries("EVENTS", ring_bytes)
        with contextlib.ExitStack() as stack:
            loaded = stack.enter_context(spec.load({"tpev_hit": None}))
            tasks.set_cgroup(loaded)
            ring = loaded.ring_buffer("EVENTS", record_bytes=self._plan.record_bytes, max_bytes=max_bytes)
            self._ring = stack.enter_context(ring)
            category, name = tracepoints.split(target)
            self._link = stack.enter_context(loaded.attach_tracepoint("tpev_hit", category, name))
            stack.pop_all()
        self._object = loaded
        self._attached = (time.monotonic(), datetime.now(UTC))
        # What turns the records' clock into the time of day.
        self._clock_offset_ns = time.time_ns() - time.monotonic_ns()
        self._dtype: np.dtype[np.void] | None = None
        self._warned = 0

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of a record."""
        if self._dtype is None:
            self._dtype = self._plan.dtype()
        return self._dtype

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        """Take the records that have come since the last read.

        Parameters
        ----------
        timeout
            Seconds to wait for the first record; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,), dtype :attr:`dtype`
            One row per hit, n may be 0; owns its memory. Rows of one CPU are in the order of ``ts_ns``
            (CLOCK_MONOTONIC, ns); those of different CPUs may be a few microseconds out of it.

        Raises
        ------
        ClosedError
            If the recording has been closed.
        """
        self._live()
        return self._ring.read(timeout).view(self.dtype)

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        """Yield batches as they come, without end; close when the loop is left."""
        with self:
            while True:
                yield self.read()

    def losses(self) -> dict[str, int]:
        """Return how many hits are missing from the records so far, by cause; what did not occur is left out."""
        lost = {"records_lost": int(sum(self.lost_per_cpu()))}
        missed = self._live().program_info("tpev_hit")["recursion_misses"]
        # Those the program was not run for may have been anybody's, so they count only if all were wanted.
        if self._filter is None and not self._tasks.facts():
            lost["hits_missed"] = missed
        return {cause: number for cause, number in lost.items() if number}

    def lost_per_cpu(self) -> list[int]:
        """Return how many records each CPU could not write because the ring buffer was full."""
        _, values = self._live().map("LOSSES").snapshot()
        lost: list[int] = values["records_lost"][0].tolist()
        return lost

    def observed(self) -> dict[str, int]:
        """Return how many hits there were in all (``hits``), and how many of them the filters left out."""
        _, values = self._live().map("OBSERVED").snapshot()
        return {name: int(values[name].sum()) for name in values.dtype.names or ()}

    def record(self, duration: float) -> Trace:
        """Record for `duration` seconds, detach, and return everything as one trace."""
        batches = []
        end = time.monotonic() + duration
        while (left := end - time.monotonic()) > 0:
            batches.append(self.read(left))
        self._link.close()
        while len(batch := self.read(0)):
            batches.append(batch)
        return self.trace(batches)

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        """Make a trace of batches that were read, with the facts of this recording."""
        import numpy as np  # noqa: PLC0415  # not needed to attach

        from rtrace.trace import Trace  # noqa: PLC0415

        losses = self.losses()
        lost = sum(losses.values())
        if lost > self._warned:
            self._warned = lost
            warnings.warn(f"{self.target}: {lost} records are missing: {losses}", LostEventsWarning, stacklevel=2)
        machine = os.uname()
        filtered = {} if self._filter is None else {"filter": self._filter}
        return Trace(
            records=np.concatenate([np.empty(0, self.dtype), *batches]),
            target=self.target,
            tool=self._tool,
            host=machine.nodename,
            kernel=machine.release,
            started=self._attached[1],
            duration=time.monotonic() - self._attached[0],
            clock_offset_ns=self._clock_offset_ns,
            lost_per_cpu=self.lost_per_cpu(),
            losses=losses,
            observed=self.observed(),
            options={**self._tasks.facts(), **filtered},
            fields=field_facts(self.format, self.dtype.names or ()),
        )

    def _live(self) -> _rtrace.Object:
        if self._object is None:
            message = f"the recording of `{self.target}` is closed"
            raise ClosedError(message)
        return self._object

    def close(self) -> None:
        """Detach and free everything in the kernel. Doing it again changes nothing."""
        loaded, self._object = self._object, None
        if loaded is not None:
            self._link.close()
            self._ring.close()
            loaded.close()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._object is None

    def __enter__(self) -> Self:
        """Return itself; it is attached already."""
        self._live()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        """Detach, and say that somebody forgot to."""
        if getattr(self, "_object", None) is not None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __repr__(self) -> str:
        """Name the recording."""
        return f"<TracepointEvents {self.target}{' closed' if self.closed else ''}>"


def field_facts(format: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:  # noqa: A002  # the kernel's word
    """Turn what the print format tells of fields into facts of a trace's columns."""
    from rtrace.trace import FieldFacts  # noqa: PLC0415  # not needed to attach

    found: dict[str, dict[str, Any]] = {"ts_ns": {"unit": "ns"}}
    for name, hint in format["hints"].items():
        found.setdefault(name, {})["format"] = {"hexadecimal": "hex", "octal": "oct", "device": "dev"}[hint]
    for table in format["tables"]:
        # A table of some bits of a field names those bits, not the field's values.
        if table["shift"] == 0 and table["mask"] is None:
            kind = "flags" if table["kind"] == "flags" else "symbols"
            facts = found.setdefault(table["field"], {})
            facts.pop("flags", None)
            facts[kind] = dict(reversed([*table["values"]]))
    return {name: FieldFacts(**facts) for name, facts in found.items() if name in names}


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
) -> TracepointEvents: ...


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
) -> Trace | TracepointEvents:
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
    Trace or TracepointEvents
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
    recording = TracepointEvents(
        target,
        fields=fields,
        filter=filter,
        tasks=targets.Tasks(pid, tid, cgroup),
        max_text=max_text,
        max_array=max_array,
        ring_bytes=ring_bytes,
        max_bytes=max_bytes,
        tool=tool,
    )
    if duration is None:
        return recording
    with recording:
        return recording.record(duration)
