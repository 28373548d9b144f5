"""What scripts import from ``bcc.table``: the table classes, for isinstance, map types, and histograms as dicts."""

from __future__ import annotations

from rtrace.bcc.cpus import online as get_online_cpus
from rtrace.bcc.cpus import possible as get_possible_cpus
from rtrace.bcc.hist import get_json_hist
from rtrace.bcc.tables.array import Array, ArrayBase, CgroupArray, CpuMap, DevMap, MapInMapArray, ProgArray, XskMap
from rtrace.bcc.tables.base import TableBase
from rtrace.bcc.tables.events import PerfEventArray, RingBuf
from rtrace.bcc.tables.hash import HashTable, LpmTrie, LruHash, MapInMapHash
from rtrace.bcc.tables.map_types import *  # noqa: F403  # one list of types
from rtrace.bcc.tables.map_types import get_table_type_name, map_type_name
from rtrace.bcc.tables.per_cpu import LruPerCpuHash, PerCpuArray, PerCpuHash
from rtrace.bcc.tables.queue import QueueStack
from rtrace.bcc.tables.stack import StackTrace

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.bcc.bpf import BPF
    from rtrace.bcc.names import Name

__all__ = [
    "Array",
    "ArrayBase",
    "CgroupArray",
    "CpuMap",
    "DevMap",
    "HashTable",
    "LpmTrie",
    "LruHash",
    "LruPerCpuHash",
    "MapInMapArray",
    "MapInMapHash",
    "PerCpuArray",
    "PerCpuHash",
    "PerfEventArray",
    "ProgArray",
    "QueueStack",
    "RingBuf",
    "StackTrace",
    "Table",
    "TableBase",
    "XskMap",
    "get_json_hist",
    "get_online_cpus",
    "get_possible_cpus",
    "get_table_type_name",
    "linear_index_max",
    "log2_index_max",
    "map_type_name",
    "stars_max",
]
__all__ += [name for name in globals() if name.startswith("BPF_MAP_TYPE_")]

# What bcc's histograms have room for: slots of powers of two, slots of one each, and stars in a row.
log2_index_max = 65
linear_index_max = 1025
stars_max = 40


def Table(  # noqa: N802, PLR0913, PLR0917  # bcc's name and signature
    bpf: BPF, map_id: int, map_fd: int, keytype: Any, leaftype: Any, name: Name, **kwargs: Any
) -> Any:
    """Return a new table of a map, as :meth:`BPF.get_table` does; the map is found by its name."""
    del map_id, map_fd
    return bpf.get_table(name, keytype, leaftype, **kwargs)
