"""``BPF``: a program in bcc's dialect of C, compiled, loaded, attached, and its maps at hand."""

from __future__ import annotations

import os
import sys
import time

from rtrace import _rtrace
from rtrace.bcc import debug as show
from rtrace.bcc import discovery, enums
from rtrace.bcc.attach_kernel import KernelAttachments
from rtrace.bcc.attach_network import NetworkAttachments
from rtrace.bcc.attach_perf import PerfAttachments
from rtrace.bcc.attach_user import UserAttachments
from rtrace.bcc.autoload import attach_by_prefix
from rtrace.bcc.disassembler import disassemble, layout_text
from rtrace.bcc.function import Function
from rtrace.bcc.loaded import Loaded
from rtrace.bcc.names import raw, utf8
from rtrace.bcc.names import text as as_text
from rtrace.bcc.on_demand import OnDemand
from rtrace.bcc.source import check_debug, compile_source, find_file, list_contexts, read_source
from rtrace.bcc.symbol_methods import SymbolMethods
from rtrace.bcc.trace_pipe import TraceMethods
from rtrace.errors import MapKeyError, NotSupportedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Self

    from rtrace.bcc.names import Name
    from rtrace.bcc.readers import AllReaders
    from rtrace.bcc.usdt import USDT


class BPF(  # one class with everything on it, as its users know it
    _rtrace.Tables,
    KernelAttachments,
    UserAttachments,
    PerfAttachments,
    NetworkAttachments,
    TraceMethods,
    SymbolMethods,
):
    r"""A program in bcc's dialect of C, loaded into the kernel.

    Compiles, attaches every program whose name begins with ``kprobe__``, ``kretprobe__``, ``tracepoint__``,
    ``raw_tracepoint__``, ``kfunc__``, ``kretfunc__``, ``kmod_ret__`` or ``lsm__``, and gives its maps as tables:
    ``b["counts"]``. Names may be str or bytes everywhere, and come back as bytes.

    A context manager. What is attached is detached when it is closed, when the last reference to it, to its tables and
    to its functions goes, and when Python ends. Callbacks that mention it make a circle, which goes with Python's next
    garbage collection.

    Parameters
    ----------
    src_file
        File of the source, looked for here and beside the script.
    hdr_file
        Must exist, and is not used otherwise, as in bcc: the source includes it itself.
    text
        The source itself.
    debug
        What to show on stderr, as a sum: ``DEBUG_PREPROCESSOR`` the rewritten C, ``DEBUG_LLVM_IR`` what the compiler
        makes of it first, ``DEBUG_BTF`` what loading has to say, and of every program ``DEBUG_BPF`` the instructions
        as the kernel gets them and the verifier's summary, ``DEBUG_SOURCE`` the instructions below the lines that they
        are from, ``DEBUG_BPF_REGISTER_STATE`` what the verifier knows at each of them.
    cflags
        Options for the compiler.
    usdt_contexts
        :class:`USDT` objects whose probes the source serves.
    allow_rlimit
        Taken; kernels since 5.11 do not limit locked memory for this.
    device
        Not supported: offloading programs to network cards.
    attach_usdt_ignore_pid
        Attach USDT probes for all processes, not only those of their contexts.
    obj_file
        An object file compiled before, instead of source; needs no compiler.

    Raises
    ------
    CompileError
        If the compiler refuses the source or there is no compiler.
    LoadError, AttachError
        If the kernel refuses a program, or what it is for does not exist.

    Examples
    --------
    >>> b = BPF(text="int kprobe__vfs_read(void *ctx) { bpf_trace_printk(\"read\"); return 0; }")  # doctest: +SKIP
    >>> b.trace_print()  # doctest: +SKIP
    """

    SOCKET_FILTER = enums.BPFProgType.SOCKET_FILTER
    KPROBE = enums.BPFProgType.KPROBE
    SCHED_CLS = enums.BPFProgType.SCHED_CLS
    SCHED_ACT = enums.BPFProgType.SCHED_ACT
    TRACEPOINT = enums.BPFProgType.TRACEPOINT
    XDP = enums.BPFProgType.XDP
    PERF_EVENT = enums.BPFProgType.PERF_EVENT
    CGROUP_SKB = enums.BPFProgType.CGROUP_SKB
    CGROUP_SOCK = enums.BPFProgType.CGROUP_SOCK
    CGROUP_SOCK_ADDR = enums.BPFProgType.CGROUP_SOCK_ADDR
    CGROUP_SOCKOPT = enums.BPFProgType.CGROUP_SOCKOPT
    LWT_IN = enums.BPFProgType.LWT_IN
    LWT_OUT = enums.BPFProgType.LWT_OUT
    LWT_XMIT = enums.BPFProgType.LWT_XMIT
    SOCK_OPS = enums.BPFProgType.SOCK_OPS
    SK_SKB = enums.BPFProgType.SK_SKB
    SK_MSG = enums.BPFProgType.SK_MSG
    CGROUP_DEVICE = enums.BPFProgType.CGROUP_DEVICE
    RAW_TRACEPOINT = enums.BPFProgType.RAW_TRACEPOINT
    TRACING = enums.BPFProgType.TRACING
    LSM = enums.BPFProgType.LSM
    XDP_ABORTED = enums.XDPAction.XDP_ABORTED
    XDP_DROP = enums.XDPAction.XDP_DROP
    XDP_PASS = enums.XDPAction.XDP_PASS
    XDP_TX = enums.XDPAction.XDP_TX
    XDP_REDIRECT = enums.XDPAction.XDP_REDIRECT
    XDP_FLAGS_UPDATE_IF_NOEXIST = enums.XDPFlags.UPDATE_IF_NOEXIST
    XDP_FLAGS_SKB_MODE = enums.XDPFlags.SKB_MODE
    XDP_FLAGS_DRV_MODE = enums.XDPFlags.DRV_MODE
    XDP_FLAGS_HW_MODE = enums.XDPFlags.HW_MODE
    XDP_FLAGS_REPLACE = enums.XDPFlags.REPLACE

    CLOCK_MONOTONIC = time.CLOCK_MONOTONIC

    Function = Function
    Table = OnDemand("rtrace.bcc.table", "Table")
    str2ctype = OnDemand("rtrace.bcc.ctypes_types", "BY_NAME")

    def __init__(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        src_file: Name = b"",
        hdr_file: Name = b"",
        text: Name | None = None,
        debug: int = 0,
        cflags: Sequence[Name] = (),
        usdt_contexts: Iterable[USDT] = (),
        allow_rlimit: bool = True,  # noqa: FBT001, FBT002
        device: Name | None = None,
        attach_usdt_ignore_pid: bool = False,  # noqa: FBT001, FBT002
        *,
        obj_file: Name | os.PathLike[str] | None = None,
    ) -> None:
        del allow_rlimit
        # An empty text is a program too: scripts make one to ask about the kernel.
        if sum((bool(src_file), text is not None, obj_file is not None)) != 1:
            message = "BPF() takes one of src_file, text and obj_file"
            raise ValueError(message)
        if device is not None:
            message = f"load programs into the network card `{as_text(device)}`: not supported"
            raise NotSupportedError(message, feature="offloading programs to network cards")
        if hdr_file:
            find_file(as_text(hdr_file))
        self.debug = check_debug(debug)
        contexts = list_contexts(usdt_contexts)
        # What displays take a histogram's slots for; nearly all count powers of two, so an object is believed to.
        counts_powers = True
        if obj_file is not None:
            self._spec = _rtrace.ObjectSpec.open(os.fsdecode(obj_file))
        else:
            name, source = read_source(src_file, text, contexts)
            counts_powers = "bpf_log2" in source
            self._spec = compile_source(name, source, cflags, debug)
        self.funcs = {}
        self.loaded = Loaded(show.load(debug, self._spec), self._spec, counts_powers=counts_powers)
        try:
            for context in contexts:
                context.attach_uprobes(self, attach_usdt_ignore_pid)
            attach_by_prefix(self)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.loaded.closed

    # Tables.

    @property
    def histograms(self) -> list[str]:
        """Names of the maps that the source declares by ``BPF_HISTOGRAM``."""
        return self.loaded.histograms

    @property
    def counts_powers(self) -> bool:
        """Whether slots of histograms are powers of two, as far as the source tells."""
        return self.loaded.counts_powers

    @property
    def readers(self) -> AllReaders:
        """The open perf and ring buffers."""
        return self.loaded.readers

    def __missing__(self, key: Name) -> Any:
        """Make the table of a map when it is first asked for."""
        table = self.known.get(as_text(key))
        if table is None:
            table = self.get_table(key)
        self[key] = table
        return table

    def __setitem__(self, key: Name, table: Any) -> None:
        """Put a table in place of a map's own, for both forms of the name."""
        name = raw(key)
        self.known_raw[name] = table
        # The very object that a name in a script is: found without a look at its letters.
        self.known[sys.intern(as_text(name))] = table

    def __delitem__(self, key: Name) -> None:
        """Forget a table; the map stays."""
        del self.known_raw[raw(key)]
        del self.known[as_text(key)]

    def __contains__(self, key: Name) -> bool:
        """Whether the table has been asked for so far."""
        return raw(key) in self.known_raw

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the names of the tables asked for so far."""
        return iter(self.known_raw)

    def __len__(self) -> int:
        """Return how many tables have been asked for so far."""
        return len(self.known_raw)

    def keys(self) -> list[bytes]:
        """Return the names of the tables asked for so far."""
        return list(self.known_raw)

    def values(self) -> list[Any]:
        """Return the tables asked for so far."""
        return list(self.known_raw.values())

    def items(self) -> list[tuple[bytes, Any]]:
        """Return the names and the tables asked for so far."""
        return list(self.known_raw.items())

    def get_table(
        self,
        name: Name,
        keytype: Any = None,
        leaftype: Any = None,
        reducer: Callable[[Any, Any], Any] | None = None,
    ) -> Any:
        """Return a new table of a map.

        Parameters
        ----------
        name
            The map.
        keytype, leaftype
            ctypes classes to use instead of those of the C types, of the same size.
        reducer
            Makes one leaf of two, for maps with a leaf for every CPU.

        Raises
        ------
        MapKeyError
            If the program has no such map.
        TypeError, ValueError
            If they are no ctypes classes, or of another size than the map's.
        """
        from rtrace.bcc.tables import make  # noqa: PLC0415  # ctypes takes longer than to compile and to attach

        called = as_text(name)
        if called not in self._spec.maps:
            known = ", ".join(self._spec.maps) or "none"
            message = f"open map `{called}`: the program has no such map"
            raise MapKeyError(message, map=called, hint=f"it has {known}")
        types = self.native.types(called)
        return make.make(self, self.native.map(called), types, key=keytype, leaf=leaftype, reducer=reducer)

    # Programs.

    def dump_func(self, func_name: Name) -> bytes:
        """Return the instructions of a program, 8 bytes each, as the compiler made them."""
        return self._spec.instructions(utf8(func_name, "program"))

    def disassemble_func(self, func_name: Name) -> str:
        """Return the instructions of a program as text, one in a line."""
        return disassemble(self.dump_func(func_name))

    def decode_table(self, table_name: Name, sizeinfo: bool = False) -> str:  # noqa: FBT001, FBT002  # bcc's signature
        """Return the layout of a map's key and value as text, with `sizeinfo` also the bytes of each member."""
        table = self.get_table(table_name)
        facts = f"type {table.ttype}, {table.max_entries} entries, fd {table.get_fd()}"
        types = self.native.types(as_text(table_name))
        return f"map {as_text(table_name)} ({facts})\n" + layout_text(types, sizes=sizeinfo)

    # Buffers.

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Call back for the events in perf buffers, waiting up to `timeout` milliseconds for the first.

        Waits for ever with a `timeout` below zero. What a callback raises comes out here.
        """
        self.readers.perf.poll(timeout)

    def perf_buffer_consume(self) -> None:
        """Call back for the events in perf buffers, without waiting."""
        self.readers.perf.poll(0)

    def kprobe_poll(self, timeout: int = -1) -> None:
        """Poll perf buffers; the old name of :meth:`perf_buffer_poll`."""
        self.perf_buffer_poll(timeout)

    def ring_buffer_poll(self, timeout: int = -1) -> int:
        """Call back for the events in ring buffers, waiting up to `timeout` milliseconds; return how many there were.

        Waits for ever with a `timeout` below zero. What a callback raises comes out here.
        """
        return self.readers.ring.poll(timeout)

    def ring_buffer_consume(self) -> int:
        """Call back for the events in ring buffers, without waiting; return how many there were."""
        return self.readers.ring.poll(0)

    # The kernel, as discovery knows it.

    get_kprobe_functions = staticmethod(discovery.get_kprobe_functions)
    get_tracepoints = staticmethod(discovery.get_tracepoints)
    tracepoint_exists = staticmethod(discovery.tracepoint_exists)
    get_syscall_prefix = staticmethod(discovery.get_syscall_prefix)
    get_syscall_fnname = staticmethod(discovery.get_syscall_fnname)
    fix_syscall_fnname = staticmethod(discovery.fix_syscall_fnname)
    kernel_struct_has_field = staticmethod(discovery.kernel_struct_has_field)
    kernel_struct_field_size_offset = staticmethod(discovery.kernel_struct_field_size_offset)
    kernel_enum_has_val = staticmethod(discovery.kernel_enum_has_val)
    support_kfunc = staticmethod(discovery.support_kfunc)
    support_lsm = staticmethod(discovery.support_lsm)
    support_fmod_ret = staticmethod(discovery.support_fmod_ret)
    support_raw_tracepoint = staticmethod(discovery.support_raw_tracepoint)
    support_raw_tracepoint_in_module = staticmethod(discovery.support_raw_tracepoint_in_module)

    @classmethod
    def monotonic_time(cls) -> float:
        """Return the time of ``bpf_ktime_get_ns`` in nanoseconds."""
        return float(time.monotonic_ns())

    @classmethod
    def generate_auto_includes(cls, program_words: Iterable[Name]) -> str:
        """Return the ``#include`` lines that a program of these words needs: none, as types come from the kernel."""
        del program_words
        return ""

    def free_bcc_memory(self) -> int:
        """Return 0: nothing of the compiler is held in memory."""
        return 0

    # The end.

    def cleanup(self) -> None:
        """Detach everything, and let go of programs, maps and buffers. Doing it again changes nothing."""
        self.loaded.close()

    def close(self) -> None:
        """Do what :meth:`cleanup` does."""
        self.loaded.close()

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return the name of the source, and the maps."""
        return f"<BPF {self._spec.name} maps={list(self._spec.maps)}>"

    def _repr_html_(self) -> str:
        from rtrace.bcc.bpf_html import bpf_html  # noqa: PLC0415  # only notebooks need it

        return bpf_html(self, self._spec)
