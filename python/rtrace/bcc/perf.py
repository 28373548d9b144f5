"""What scripts import from ``bcc.perf``: the attributes of a perf event, as the kernel takes them.

Scripts set any of them, so they go to the kernel as they are, by the system call itself.
"""

from __future__ import annotations

import ctypes as ct
import fcntl
import os

from rtrace import _rtrace
from rtrace.bcc import cpus

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

# include/uapi/linux/perf_event.h: the bits between `read_format` and `wakeup_events`, in order; one of two bits.
_FLAGS = """
disabled inherit pinned exclusive exclude_user exclude_kernel exclude_hv exclude_idle mmap comm freq inherit_stat
enable_on_exec task watermark precise_ip mmap_data sample_id_all exclude_host exclude_guest exclude_callchain_kernel
exclude_callchain_user mmap2 comm_exec use_clockid context_switch write_backward namespaces ksymbol bpf_event
aux_output cgroup text_poke build_id inherit_thread remove_on_exec sigtrap
""".split()  # noqa: SIM905  # a list of words
_WIDE_FLAG = "precise_ip"
# _IOW('$', 8, __u32).
_SET_PROGRAM = 0x40042408


def _union(*names: str, kind: Any = ct.c_uint64) -> Any:
    return type("_".join(names), (ct.Union,), {"__slots__": (), "_fields_": [(name, kind) for name in names]})


class PerfEventAttributes(ct.Structure):
    """Attributes for :meth:`BPF.attach_perf_event_raw`: ``struct perf_event_attr`` of ``perf_event_open(2)``.

    Its members have the kernel's names. Any other name is an AttributeError, where bcc prints a warning and goes on
    without what was asked for.

    Examples
    --------
    >>> attributes = PerfEventAttributes()
    >>> attributes.sample_freq, attributes.freq, attributes.exclude_kernel = 99, 1, 1
    >>> attributes.sample_period, attributes.size
    (99, 136)
    """

    __slots__ = ()
    _anonymous_ = ("_period", "_wakeup", "_address", "_length")
    _fields_ = (
        ("type", ct.c_uint32),
        ("size", ct.c_uint32),
        ("config", ct.c_uint64),
        ("_period", _union("sample_period", "sample_freq")),
        ("sample_type", ct.c_uint64),
        ("read_format", ct.c_uint64),
        *((name, ct.c_uint64, 2 if name == _WIDE_FLAG else 1) for name in _FLAGS),
        ("_wakeup", _union("wakeup_events", "wakeup_watermark", kind=ct.c_uint32)),
        ("bp_type", ct.c_uint32),
        ("_address", _union("bp_addr", "kprobe_func", "uprobe_path", "config1")),
        ("_length", _union("bp_len", "kprobe_addr", "probe_offset", "config2")),
        ("branch_sample_type", ct.c_uint64),
        ("sample_regs_user", ct.c_uint64),
        ("sample_stack_user", ct.c_uint32),
        ("clockid", ct.c_int32),
        ("sample_regs_intr", ct.c_uint64),
        ("aux_watermark", ct.c_uint32),
        ("sample_max_stack", ct.c_uint16),
        ("_reserved", ct.c_uint16),
        ("aux_sample_size", ct.c_uint32),
        ("aux_action", ct.c_uint32),
        ("sig_data", ct.c_uint64),
        ("config3", ct.c_uint64),
    )

    def __init__(self, **members: int) -> None:
        # Kernels that know less take it as well, as long as what they do not know is zero.
        super().__init__(**{"size": ct.sizeof(type(self)), **members})


class Perf:
    """The place where bcc keeps the class of attributes, its numbers, and events without a program."""

    perf_event_attr = PerfEventAttributes

    NR_PERF_EVENT_OPEN = _rtrace.syscall_number("perf_event_open") or -1
    PERF_TYPE_HARDWARE = 0
    PERF_TYPE_SOFTWARE = 1
    PERF_TYPE_TRACEPOINT = 2
    PERF_TYPE_HW_CACHE = 3
    PERF_TYPE_RAW = 4
    PERF_SAMPLE_RAW = 1 << 10
    PERF_FLAG_FD_CLOEXEC = 1 << 3
    # _IO('$', 0) and _IOW('$', 6, char *).
    PERF_EVENT_IOC_ENABLE = 0x2400
    PERF_EVENT_IOC_SET_FILTER = 0x40082406

    @staticmethod
    def perf_event_open(tpoint_id: int, pid: int = -1, ptype: int = PERF_TYPE_TRACEPOINT, freq: int = 0) -> list[int]:
        """Open an event on every online CPU: a tracepoint by its id, or another type by its configuration.

        Parameters
        ----------
        tpoint_id
            The tracepoint's ``id`` in tracefs, or the event's ``config``.
        pid
            Process to count for; all without.
        ptype
            Type of the event.
        freq
            Samples a second; every event is one without.

        Returns
        -------
        list of int
            See :meth:`perf_custom_event_open`.
        """
        attributes = PerfEventAttributes(type=ptype, config=tpoint_id, sample_type=Perf.PERF_SAMPLE_RAW)
        attributes.freq, attributes.sample_period = bool(freq), freq or 1
        attributes.wakeup_events = 9_999_999  # nobody reads
        return Perf.perf_custom_event_open(attributes, pid)

    @staticmethod
    def perf_custom_event_open(attr: PerfEventAttributes, pid: int = -1) -> list[int]:
        """Open an event on every online CPU and enable it, with no program and no reader.

        So the hardware counts, or keeps the last branches for ``bpf_get_branch_snapshot``.

        Parameters
        ----------
        attr
            The event.
        pid
            Process to count for; all without.

        Returns
        -------
        list of int
            File descriptors, the caller's to close; events last as long as they, at the latest to the process's end.

        Raises
        ------
        OSError
            If the kernel or the machine has no such event.
        """
        opened: list[int] = []
        try:
            for cpu in cpus.online():
                opened.append(open_event(attr, pid, cpu))
                if attr.type == Perf.PERF_TYPE_TRACEPOINT:
                    # Counted for no process, so that no buffer is looked for.
                    fcntl.ioctl(opened[-1], Perf.PERF_EVENT_IOC_SET_FILTER, b"common_pid == -17\0")
                fcntl.ioctl(opened[-1], Perf.PERF_EVENT_IOC_ENABLE)
        except BaseException:
            while opened:
                os.close(opened.pop())
            raise
        return opened


def open_event(attributes: Any, pid: int, cpu: int, group: int = -1) -> int:
    """Open a perf event by its attributes; return its file descriptor.

    Raises
    ------
    TypeError
        If they are no struct.
    OSError
        If the kernel refuses.
    """
    if not isinstance(attributes, ct.Structure):
        message = f"attributes of a perf event are a Perf.perf_event_attr, not {type(attributes).__name__}"
        raise TypeError(message)
    call = ct.CDLL(None, use_errno=True).syscall
    call.restype = ct.c_long
    number, flags = ct.c_long(Perf.NR_PERF_EVENT_OPEN), ct.c_ulong(Perf.PERF_FLAG_FD_CLOEXEC)
    opened = call(number, ct.byref(attributes), ct.c_int(pid), ct.c_int(cpu), ct.c_int(group), flags)
    if opened < 0:
        error = ct.get_errno()
        raise OSError(error, os.strerror(error))
    return int(opened)


class EventLink:
    """A program that runs at a perf event of its own; closing it detaches, as closing a native link does."""

    kind = "perf event"

    def __init__(self, program: str, descriptor: int, target: str, event: int) -> None:
        self.program = program
        self.target = target
        self._event: int | None = event
        try:
            fcntl.ioctl(event, _SET_PROGRAM, descriptor)
            fcntl.ioctl(event, Perf.PERF_EVENT_IOC_ENABLE)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the event, and with it the attachment."""
        if self._event is not None:
            os.close(self._event)
            self._event = None

    def __del__(self) -> None:
        """Leave nothing attached that nobody knows of."""
        self.close()
