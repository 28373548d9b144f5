"""What programs keep for sockets, inodes, tasks and cgroups, and sockets to redirect to.

bcc has no classes for these; its scripts reach into them from C alone.
"""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc.tables.array import DescriptorArray, descriptor_of
from rtrace.bcc.tables.base import TableBase
from rtrace.bcc.tables.per_cpu import PerCpuTable
from rtrace.errors import NotSupportedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any, Never


class OwnedStorage(TableBase):
    """A leaf for each owner (``BPF_SK_STORAGE``, ``BPF_INODE_STORAGE``, ``BPF_TASK_STORAGE``).

    Its key is a file descriptor of the owner, or an object with one: a socket, an open file, a pidfd
    (:func:`os.pidfd_open`). The kernel gives one owner's leaf, and lists none.
    """

    def _key_bytes(self, key: Any) -> bytes:
        return ct.c_int(descriptor_of(key, self._map.name)).value.to_bytes(4, "little", signed=True)

    def _list(self, *_: Any, **__: Any) -> Never:
        name = self._map.name
        message = f"list the entries of map `{name}`: the kernel does not tell the owners of such storage"
        hint = f"ask for one owner by its file descriptor: b[{name!r}][fd]; or keep the keys in a hash beside it"
        raise NotSupportedError(message, feature="listing the storage of sockets, inodes and tasks", hint=hint)

    next = items = values = keys = iter = clear = zero = to_numpy = to_dict = _list
    iteritems = itervalues = items_lookup_batch = items_lookup_and_delete_batch = _list
    items_update_batch = items_delete_batch = _list
    __iter__ = __len__ = _list


class CgroupStorage(TableBase):
    """A leaf for each cgroup that a program is attached to (``BPF_CGROUP_STORAGE``); programs make them."""


class PerCpuCgroupStorage(PerCpuTable):
    """A leaf for each CPU of each cgroup that a program is attached to (``BPF_PERCPU_CGROUP_STORAGE``)."""


class SockMap(DescriptorArray):
    """An array of sockets to redirect to; a leaf is set as a socket or its file descriptor."""


class SockHash(TableBase):
    """A hash of sockets to redirect to; a leaf is set as a socket or its file descriptor."""

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return descriptor_of(leaf, self._map.name).to_bytes(self._leaf_size, "little")
