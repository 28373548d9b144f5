"""Measure Linux from Python: kernel functions as histograms and numpy arrays, through eBPF.

>>> import rtrace
>>> hist = rtrace.vfsreadlat(duration=5)  # doctest: +SKIP
>>> hist.print()  # doctest: +SKIP

Importing this needs no privilege, no kernel files and next to no time: everything is loaded when it is first used.
"""

from __future__ import annotations

import importlib

# As good as typing's to type checkers, and saves its import, which costs more than all of rtrace's own.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rtrace.bcc.bpf import BPF as BPF
    from rtrace.bcc.usdt import USDT as USDT
    from rtrace.diagnosis import doctor as doctor
    from rtrace.errors import AttachError as AttachError
    from rtrace.errors import BtfError as BtfError
    from rtrace.errors import ClosedError as ClosedError
    from rtrace.errors import CommandError as CommandError
    from rtrace.errors import CompileError as CompileError
    from rtrace.errors import LoadError as LoadError
    from rtrace.errors import LostEventsWarning as LostEventsWarning
    from rtrace.errors import MapError as MapError
    from rtrace.errors import MapKeyError as MapKeyError
    from rtrace.errors import NotSupportedError as NotSupportedError
    from rtrace.errors import OtherProcessError as OtherProcessError
    from rtrace.errors import PrivilegeError as PrivilegeError
    from rtrace.errors import RtraceError as RtraceError
    from rtrace.errors import SymbolError as SymbolError
    from rtrace.errors import TargetNotFoundError as TargetNotFoundError
    from rtrace.errors import TraceFormatError as TraceFormatError
    from rtrace.errors import VerifierError as VerifierError
    from rtrace.histogram import Histogram as Histogram
    from rtrace.liveview.loop import live as live
    from rtrace.shapes.function_latency import FunctionLatency as FunctionLatency
    from rtrace.shapes.function_latency import function_latency as function_latency
    from rtrace.shapes.pair_counting import TracepointLatency as TracepointLatency
    from rtrace.shapes.recording import Recording as Recording
    from rtrace.shapes.tracepoint_events import tracepoint_events as tracepoint_events
    from rtrace.shapes.tracepoint_latency import tracepoint_latency as tracepoint_latency
    from rtrace.tools.disksnoop import disksnoop as disksnoop
    from rtrace.tools.urandomread import urandomread as urandomread
    from rtrace.tools.vfsreadlat import vfsreadlat as vfsreadlat
    from rtrace.trace import FieldFacts as FieldFacts
    from rtrace.trace import Trace as Trace
    from rtrace.tracepoint import TracepointFormat as TracepointFormat
    from rtrace.tracepoint import tracepoint_format as tracepoint_format
    from rtrace.tracepoint import tracepoints as tracepoints

# Where each public name lives.
_HOMES = {
    "rtrace._rtrace": ("Link", "Map", "Object", "ObjectSpec", "__version__"),
    "rtrace.bcc.bpf": ("BPF",),
    "rtrace.bcc.usdt": ("USDT",),
    "rtrace.diagnosis": ("doctor",),
    "rtrace.errors": (
        "AttachError",
        "BtfError",
        "ClosedError",
        "CommandError",
        "CompileError",
        "LoadError",
        "LostEventsWarning",
        "MapError",
        "MapKeyError",
        "NotSupportedError",
        "OtherProcessError",
        "PrivilegeError",
        "RtraceError",
        "SymbolError",
        "TargetNotFoundError",
        "TraceFormatError",
        "VerifierError",
    ),
    "rtrace.histogram": ("Histogram",),
    "rtrace.liveview.loop": ("live",),
    "rtrace.shapes.function_latency": ("FunctionLatency", "function_latency"),
    "rtrace.shapes.pair_counting": ("TracepointLatency",),
    "rtrace.shapes.recording": ("Recording",),
    "rtrace.shapes.tracepoint_events": ("tracepoint_events",),
    "rtrace.shapes.tracepoint_latency": ("tracepoint_latency",),
    "rtrace.tools.disksnoop": ("disksnoop",),
    "rtrace.tools.urandomread": ("urandomread",),
    "rtrace.tools.vfsreadlat": ("vfsreadlat",),
    "rtrace.trace": ("FieldFacts", "Trace"),
    "rtrace.tracepoint": ("TracepointFormat", "tracepoint_format", "tracepoints"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [name for name in _HOME_OF if not name.startswith("_")]  # made from one list


def __getattr__(name: str) -> Any:
    """Load a public name's module when it is first used."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names for completion, loaded or not."""
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Do what ``%load_ext rtrace`` asks for: bring ``%%bpf`` into a notebook."""
    importlib.import_module("rtrace.jupyter").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Do what ``%unload_ext rtrace`` asks for."""
    importlib.import_module("rtrace.jupyter").unload_ipython_extension(shell)
