"""Perf buffers and ring buffers: events in the order they come, one call each or many at a time."""

from __future__ import annotations

from functools import partial

from rtrace import _rtrace
from rtrace.bcc import ctypes_types
from rtrace.bcc.cpus import online
from rtrace.bcc.readers import Reader
from rtrace.bcc.tables.array import DescriptorArray
from rtrace.bcc.tables.base import TableBase
from rtrace.errors import MapError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from rtrace.bcc.bpf import BPF

    # Callback, pages, callback for losses, and events between two wakes.
    Opening = tuple[Callable[..., Any] | None, int, Callable[[int], Any] | None, int]


class EventTable(_rtrace.EventMaker, TableBase):
    """A buffer of events that programs fill and one reader empties."""

    _reader: Reader | None = None
    _description: dict[str, Any] | None = None

    def describe_event(self, description: dict[str, Any] | None) -> None:
        """Take the type of the events, as the program's calls of ``perf_submit`` and its like tell it."""
        self._description = description

    @property
    def event_type(self) -> Any:
        """Ctypes class of the events."""
        if self._description is None:
            name = self._map.name
            message = f"read events of `{name}`: no program says what type they have"
            hint = f"submit a struct, as {name}.perf_submit(ctx, &data, sizeof(data)) does, or cast `data` yourself"
            raise MapError(message, map=name, hint=hint)
        return ctypes_types.build(self._description)

    @property
    def is_open(self) -> bool:
        """Whether somebody reads it: ``read`` or a callback has been asked for."""
        return self._reader is not None

    def _repr_html_(self) -> str:
        from rtrace.bcc.tables.html import events_html  # noqa: PLC0415  # only notebooks need it

        return events_html(self)

    @property
    def lost(self) -> int:
        """Events lost so far because the buffer was full, for a reader that opened it."""
        if self._reader is None:
            return 0
        self._reader.asked = True
        return self._reader.lost

    def read(self, timeout: float | None = None) -> NDArray[Any]:
        """Take all events that have come, as one numpy array.

        Opens the buffer if it is not open yet; nobody has to poll.

        Parameters
        ----------
        timeout
            Seconds to wait for the first event; None waits for ever, 0 never waits.

        Returns
        -------
        numpy.ndarray, shape (n,)
            One row per event, in the order of their buffers; n may be 0. Owns its memory. The dtype follows the C type
            that programs submit, as those of :meth:`TableBase.to_numpy` do.
        """
        if self._reader is None:
            self._open(None)
        assert self._reader is not None  # noqa: S101  # just opened
        return self._batch(timeout)

    def _open(self, callback: Callable[..., Any] | None) -> None:
        raise NotImplementedError

    def _check_callable(self, what: str, given: Any) -> None:
        if given is not None and not callable(given):
            message = f"{what} of `{self._map.name}` must be a function, not {given!r}"
            raise TypeError(message)

    def _batch(self, timeout: float | None) -> NDArray[Any]:
        raise NotImplementedError


class PerfEventArray(EventTable, DescriptorArray):
    """A perf buffer (``BPF_PERF_OUTPUT``), or counters that programs read (``BPF_PERF_ARRAY``)."""

    _buffer: _rtrace.PerfBuffer | None = None
    # How it was opened last.
    _opening: Opening | None = None

    def __init__(self, bpf: BPF, native: _rtrace.Map, key: Any, leaf: Any, name: str) -> None:
        super().__init__(bpf, native, key, leaf, name)
        # As many as there are CPUs, unless the program says otherwise.
        self.max_entries = self.max_entries or native.cpus

    def open_perf_buffer(
        self,
        callback: Callable[[int, int, int], Any] | None,
        page_cnt: int = 8,
        lost_cb: Callable[[int], Any] | None = None,
        wakeup_events: int = 1,
    ) -> None:
        """Call back for every event, from :meth:`BPF.perf_buffer_poll`.

        Parameters
        ----------
        callback
            Takes the CPU, the address of the event, for :meth:`event`, and its size in bytes. What it raises comes
            out of the poll. None for :meth:`read` alone.
        page_cnt
            Pages of the buffer of each CPU, a power of two.
        lost_cb
            Takes the number of events lost since it was called last. Without it a LostEventsWarning tells at the end.
        wakeup_events
            Events that a CPU's buffer gathers before it wakes the reader.
        """
        self._check_callable("callback", callback)
        self._check_callable("lost_cb", lost_cb)
        if not isinstance(page_cnt, int) or page_cnt < 1 or page_cnt & (page_cnt - 1):
            message = f"pages of `{self._map.name}` must be a power of two, not {page_cnt!r}"
            raise ValueError(message)
        self._open(callback, page_cnt, lost_cb, wakeup_events)

    def _open(
        self,
        callback: Callable[..., Any] | None,
        pages: int = 8,
        lost_callback: Callable[[int], Any] | None = None,
        wakeup_events: int = 1,
    ) -> None:
        former, opening = self._reader, self._opening
        if former is None or opening is None or former.buffer.closed:
            self._start((callback, pages, lost_callback, wakeup_events))
            return
        # A map has one for each CPU: a second would be gone with the first.
        self._reader = self._buffer = None
        self.loaded.readers.perf.remove(former)
        former.close()
        try:
            self._start((callback, pages, lost_callback, wakeup_events))
        except BaseException:
            self._start(opening)
            raise
        finally:
            former.warn()

    def _start(self, opening: Opening) -> None:
        callback, pages, lost_callback, wakeup_events = opening
        name = self._map.name
        buffer = self.loaded.native.perf_buffer(name, pages=pages, wakeup_events=wakeup_events)
        self._buffer, self._opening = buffer, opening
        self._reader = Reader(name, buffer, asked=lost_callback is not None)
        self.loaded.readers.perf.append(self._reader, callback, lost_callback)

    def _batch(self, timeout: float | None) -> NDArray[Any]:
        assert self._buffer is not None  # noqa: S101  # only called with the buffer open
        return self._buffer.read(timeout)[1]

    def open_perf_event(self, typ: int, config: int, pid: int = -1) -> None:
        """Open a counter on every online CPU, for programs to read by ``perf_read``.

        Parameters
        ----------
        typ, config
            What to count, as PerfType and PerfHWConfig or PerfSWConfig name it.
        pid
            Process to count for; all without.
        """
        for cpu in online():
            event = _rtrace.open_perf_counter(typ, config, pid=None if pid < 0 else pid, cpu=cpu)
            self.loaded.descriptors.append(event)
            self[cpu] = event


class RingBuf(EventTable):
    """A ring buffer (``BPF_RINGBUF_OUTPUT``)."""

    _buffer: _rtrace.RecordBuffer | None = None

    def open_ring_buffer(self, callback: Callable[[Any, int, int], Any] | None, ctx: Any = None) -> None:
        """Call back for every event, from :meth:`BPF.ring_buffer_poll`.

        Parameters
        ----------
        callback
            Takes `ctx`, the address of the event, for :meth:`event`, and its size in bytes. What it raises comes out
            of the poll. None for :meth:`read` alone.
        ctx
            Passed on.
        """
        self._check_callable("callback", callback)
        # Without a context the reader's own first argument, None, is just that.
        self._open(callback if ctx is None or callback is None else partial(_with_context, callback, ctx))

    def _open(self, callback: Callable[..., Any] | None) -> None:
        former, readers = self._reader, self.loaded.readers.ring
        self._buffer = self.loaded.native.record_buffer(self._map.name)
        self._reader = Reader(self._map.name, self._buffer, asked=False)
        readers.append(self._reader, callback, None)
        # What it lost is counted on.
        if former is not None:
            readers.remove(former)
            former.close()

    def _batch(self, timeout: float | None) -> NDArray[Any]:
        assert self._buffer is not None  # noqa: S101  # only called with the buffer open
        return self._buffer.read(timeout)

    def __len__(self) -> int:
        """Return 0: a ring buffer has no keys."""
        return 0


def _with_context(callback: Callable[[Any, int, int], Any], ctx: Any, _cpu: None, address: int, size: int) -> Any:
    return callback(ctx, address, size)
