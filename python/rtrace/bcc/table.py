"""What scripts import from ``bcc.table``: the table classes, for isinstance, and histograms as dicts."""

from __future__ import annotations

from rtrace.bcc.hist import get_json_hist
from rtrace.bcc.tables.array import Array, ArrayBase, CgroupArray, CpuMap, DevMap, MapInMapArray, ProgArray, XskMap
from rtrace.bcc.tables.base import TableBase
from rtrace.bcc.tables.events import PerfEventArray, RingBuf
from rtrace.bcc.tables.hash import HashTable, LpmTrie, LruHash, MapInMapHash
from rtrace.bcc.tables.per_cpu import LruPerCpuHash, PerCpuArray, PerCpuHash
from rtrace.bcc.tables.queue import QueueStack
from rtrace.bcc.tables.stack import StackTrace

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
    "TableBase",
    "XskMap",
    "get_json_hist",
]
