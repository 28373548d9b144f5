"""From a native map to the table class of its type."""

from __future__ import annotations

from rtrace.bcc import ctypes_types
from rtrace.bcc.tables import array, base, events, hash, per_cpu, queue, stack, storage  # noqa: A004  # the map type's name
from rtrace.errors import NotSupportedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF

# enum bpf_map_type (include/uapi/linux/bpf.h).
_HASH, _ARRAY, _PROG_ARRAY, _PERF_EVENT_ARRAY, _PERCPU_HASH, _PERCPU_ARRAY, _STACK_TRACE = range(1, 8)
_CGROUP_ARRAY, _LRU_HASH, _LRU_PERCPU_HASH, _LPM_TRIE, _ARRAY_OF_MAPS, _HASH_OF_MAPS = range(8, 14)
_DEVMAP, _SOCKMAP, _CPUMAP, _XSKMAP, _SOCKHASH, _CGROUP_STORAGE, _REUSEPORT = range(14, 21)
_PERCPU_CGROUP_STORAGE, _QUEUE, _STACK, _SK_STORAGE, _DEVMAP_HASH, _STRUCT_OPS, _RINGBUF = range(21, 28)
_INODE_STORAGE, _TASK_STORAGE = range(28, 30)

CLASSES: dict[int, type[base.TableBase]] = {
    _HASH: hash.HashTable,
    _ARRAY: array.Array,
    _PROG_ARRAY: array.ProgArray,
    _PERF_EVENT_ARRAY: events.PerfEventArray,
    _PERCPU_HASH: per_cpu.PerCpuHash,
    _PERCPU_ARRAY: per_cpu.PerCpuArray,
    _STACK_TRACE: stack.StackTrace,
    _CGROUP_ARRAY: array.CgroupArray,
    _LRU_HASH: hash.LruHash,
    _LRU_PERCPU_HASH: per_cpu.LruPerCpuHash,
    _LPM_TRIE: hash.LpmTrie,
    _ARRAY_OF_MAPS: array.MapInMapArray,
    _HASH_OF_MAPS: hash.MapInMapHash,
    _DEVMAP: array.DevMap,
    _CPUMAP: array.CpuMap,
    _XSKMAP: array.XskMap,
    _DEVMAP_HASH: hash.HashTable,
    _RINGBUF: events.RingBuf,
    _SOCKMAP: storage.SockMap,
    _SOCKHASH: storage.SockHash,
    _CGROUP_STORAGE: storage.CgroupStorage,
    _PERCPU_CGROUP_STORAGE: storage.PerCpuCgroupStorage,
    _SK_STORAGE: storage.OwnedStorage,
    _INODE_STORAGE: storage.OwnedStorage,
    _TASK_STORAGE: storage.OwnedStorage,
}
_KEYLESS = (_QUEUE, _STACK)


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
    key = key or _type_of(types.get("key"), native.key_bytes)
    leaf = leaf or _type_of(types.get("value"), native.value_bytes)
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


def _type_of(description: dict[str, Any] | None, size: int) -> Any:
    return ctypes_types.build(description) if description else ctypes_types.opaque(size)
