"""The way of bcc: programs in its dialect of C, compiled here, with their maps as tables.

Run scripts written for bcc as they are with ``python -m rtrace.bcc SCRIPT``; in one's own, write
``from rtrace.bcc import BPF`` for ``from bcc import BPF``. Needs clang, or the ``ziglang`` package, unless an object
compiled before is loaded (``BPF(obj_file=...)``). Everything is loaded when it is first used.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.bcc.bpf import BPF as BPF
    from rtrace.bcc.enums import DEBUG_BPF as DEBUG_BPF
    from rtrace.bcc.enums import DEBUG_BPF_REGISTER_STATE as DEBUG_BPF_REGISTER_STATE
    from rtrace.bcc.enums import DEBUG_BTF as DEBUG_BTF
    from rtrace.bcc.enums import DEBUG_LLVM_IR as DEBUG_LLVM_IR
    from rtrace.bcc.enums import DEBUG_PREPROCESSOR as DEBUG_PREPROCESSOR
    from rtrace.bcc.enums import DEBUG_SOURCE as DEBUG_SOURCE
    from rtrace.bcc.enums import BPFAttachType as BPFAttachType
    from rtrace.bcc.enums import BPFProgType as BPFProgType
    from rtrace.bcc.enums import PerfEventSampleFormat as PerfEventSampleFormat
    from rtrace.bcc.enums import PerfHWConfig as PerfHWConfig
    from rtrace.bcc.enums import PerfSWConfig as PerfSWConfig
    from rtrace.bcc.enums import PerfType as PerfType
    from rtrace.bcc.enums import XDPAction as XDPAction
    from rtrace.bcc.enums import XDPFlags as XDPFlags
    from rtrace.bcc.folders import DEBUGFS as DEBUGFS
    from rtrace.bcc.folders import TRACEFS as TRACEFS
    from rtrace.bcc.perf import Perf as Perf
    from rtrace.bcc.strcmp import StrcmpRewrite as StrcmpRewrite
    from rtrace.bcc.symbols import SymbolCache as SymbolCache
    from rtrace.bcc.table import BPF_MAP_TYPE_QUEUE as BPF_MAP_TYPE_QUEUE
    from rtrace.bcc.table import BPF_MAP_TYPE_STACK as BPF_MAP_TYPE_STACK
    from rtrace.bcc.table import PerfEventArray as PerfEventArray
    from rtrace.bcc.table import RingBuf as RingBuf
    from rtrace.bcc.table import Table as Table
    from rtrace.bcc.usdt import USDT as USDT
    from rtrace.bcc.usdt import USDTException as USDTException
    from rtrace.bcc.usdt import USDTProbe as USDTProbe
    from rtrace.bcc.utils import ArgString as ArgString
    from rtrace.bcc.utils import get_online_cpus as get_online_cpus
    from rtrace.bcc.utils import printb as printb
    from rtrace.bcc.version import __version__ as __version__

# Where each public name lives.
_HOMES = {
    "rtrace.bcc.bpf": ("BPF",),
    "rtrace.bcc.enums": (
        "BPFAttachType",
        "BPFProgType",
        "DEBUG_BPF",
        "DEBUG_BPF_REGISTER_STATE",
        "DEBUG_BTF",
        "DEBUG_LLVM_IR",
        "DEBUG_PREPROCESSOR",
        "DEBUG_SOURCE",
        "PerfEventSampleFormat",
        "PerfHWConfig",
        "PerfSWConfig",
        "PerfType",
        "XDPAction",
        "XDPFlags",
    ),
    "rtrace.bcc.folders": ("DEBUGFS", "TRACEFS"),
    "rtrace.bcc.perf": ("Perf",),
    "rtrace.bcc.strcmp": ("StrcmpRewrite",),
    "rtrace.bcc.symbols": ("SymbolCache",),
    "rtrace.bcc.table": ("BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK", "PerfEventArray", "RingBuf", "Table"),
    "rtrace.bcc.usdt": ("USDT", "USDTException", "USDTProbe"),
    "rtrace.bcc.utils": ("ArgString", "get_online_cpus", "printb"),
    "rtrace.bcc.version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
# Modules that scripts import, and take from the package as attributes.
MODULES = ("containers", "disassembler", "exec", "perf", "syscall", "table", "tcp", "usdt", "utils", "version")

__all__ = [name for name in _HOME_OF if not name.startswith("_")]  # made from one list


def __getattr__(name: str) -> Any:
    """Load a public name's module when it is first used."""
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names for completion, loaded or not."""
    return sorted({*globals(), *__all__, *MODULES})
