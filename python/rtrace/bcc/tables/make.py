"""From a native map to the table class of its type."""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc import ctypes_types
from rtrace.bcc.tables import array, base, events, hash, per_cpu, queue, stack, storage  # noqa: A004  # the map type's name
from rtrace.bcc.tables import map_types as of
from rtrace.errors import NotSupportedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF

CLASSES: dict[int, type[base.TableBase]] = {
    of.BPF_MAP_TYPE_HASH: hash.HashTable,
    of.BPF_MAP_TYPE_ARRAY: array.Array,
    of.BPF_MAP_TYPE_PROG_ARRAY: array.ProgArray,
    of.BPF_MAP_TYPE_PERF_EVENT_ARRAY: events.PerfEventArray,
    of.BPF_MAP_TYPE_PERCPU_HASH: per_cpu.PerCpuHash,
    of.BPF_MAP_TYPE_PERCPU_ARRAY: per_cpu.PerCpuArray,
    of.BPF_MAP_TYPE_STACK_TRACE: stack.StackTrace,
    of.BPF_MAP_TYPE_CGROUP_ARRAY: array.CgroupArray,
    of.BPF_MAP_TYPE_LRU_HASH: hash.LruHash,
    of.BPF_MAP_TYPE_LRU_PERCPU_HASH: per_cpu.LruPerCpuHash,
    of.BPF_MAP_TYPE_LPM_TRIE: hash.LpmTrie,
    of.BPF_MAP_TYPE_ARRAY_OF_MAPS: array.MapInMapArray,
    of.BPF_MAP_TYPE_HASH_OF_MAPS: hash.MapInMapHash,
    of.BPF_MAP_TYPE_DEVMAP: array.DevMap,
    of.BPF_MAP_TYPE_CPUMAP: array.CpuMap,
    of.BPF_MAP_TYPE_XSKMAP: array.XskMap,
    of.BPF_MAP_TYPE_DEVMAP_HASH: hash.HashTable,
    of.BPF_MAP_TYPE_RINGBUF: events.RingBuf,
    of.BPF_MAP_TYPE_SOCKMAP: storage.SockMap,
    of.BPF_MAP_TYPE_SOCKHASH: storage.SockHash,
    of.BPF_MAP_TYPE_CGROUP_STORAGE: storage.CgroupStorage,
    of.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: storage.PerCpuCgroupStorage,
    of.BPF_MAP_TYPE_SK_STORAGE: storage.OwnedStorage,
    of.BPF_MAP_TYPE_INODE_STORAGE: storage.OwnedStorage,
    of.BPF_MAP_TYPE_TASK_STORAGE: storage.OwnedStorage,
}
_KEYLESS = (of.BPF_MAP_TYPE_QUEUE, of.BPF_MAP_TYPE_STACK)


def make(  # noqa: PLR0913  # what a table is made of
    bpf: BPF,
    native: _rtrace.Map,
    types: dict[str, Any],
    *,
    key: Any = None,
    leaf: Any = None,
    reducer: Callable[[Any, Any], Any] | None = None,
) -> base.TableBase | queue.QueueStack:
    """Return the table of a map; `key` and `leaf` are ctypes classes to use instead of those of the C types."""
    key = _checked(key, "key", native, native.key_bytes) or _type_of(types.get("key"), native.key_bytes)
    leaf = _checked(leaf, "leaf", native, native.value_bytes) or _type_of(types.get("value"), native.value_bytes)
    if native.map_type in _KEYLESS:
        return queue.QueueStack(bpf, native, leaf, native.name)
    kind = CLASSES.get(native.map_type)
    if kind is None:
        message = f"open map `{native.name}`: no table class for map type {native.map_type}"
        hint = "only programs and files of their owners reach into maps of this type"
        raise NotSupportedError(message, feature=f"tables of map type {native.map_type}", hint=hint)
    if issubclass(kind, per_cpu.PerCpuTable):
        return kind(bpf, native, key, leaf, native.name, reducer)
    table = kind(bpf, native, key, leaf, native.name)
    if isinstance(table, events.EventTable):
        table.describe_event(types.get("event"))
    return table


def _checked(kind: Any, what: str, native: _rtrace.Map, size: int) -> Any:
    """Return a type that somebody has given, if any, and if it is one of this map."""
    # Those have types of their own, whatever is given.
    if (
        kind is None
        or native.map_type == of.BPF_MAP_TYPE_STACK_TRACE
        or (what == "key" and native.map_type in _KEYLESS)
    ):
        return None
    try:
        given = ct.sizeof(kind) if isinstance(kind, type) else None
    except TypeError:
        given = None
    if given is None:
        message = f"{what}type of `{native.name}` must be a ctypes class, not {kind!r}"
        raise TypeError(message)
    if given != size:
        message = f"{what}type of `{native.name}`: {kind.__name__} has {given} bytes, a {what} of the map {size}"
        raise ValueError(message)
    return kind


def _type_of(description: dict[str, Any] | None, size: int) -> Any:
    return ctypes_types.build(description) if description else ctypes_types.opaque(size)
