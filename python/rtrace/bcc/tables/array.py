"""Arrays: of values, and of programs, cgroups, devices, CPUs, sockets and maps."""

from __future__ import annotations

import os

from rtrace.bcc.names import text
from rtrace.bcc.tables.base import TableBase
from rtrace.errors import MapKeyError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class ArrayBase(TableBase):
    """A table of as many leaves as it has room for; its keys are numbers, those below zero count from the end."""

    def _key_bytes(self, key: Any) -> bytes:
        number = getattr(key, "value", key)
        if not isinstance(number, int):
            message = f"index of `{self._map.name}` must be a number, not {type(key).__name__}"
            raise TypeError(message)
        index = number + self.max_entries if number < 0 else number
        if not 0 <= index < self.max_entries:
            name = self._map.name
            message = f"look up in map `{name}`: no index {number} among {self.max_entries}"
            raise OutOfRangeError(message, map=name)
        return index.to_bytes(4, "little")

    def __len__(self) -> int:
        """Return how many leaves there are room for."""
        return self.max_entries

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the indices."""
        return iter([self.Key(index) for index in range(self.max_entries)])

    def clearitem(self, key: Any) -> None:
        """Set the leaf of an index to zero."""
        self._map.update_bytes(self._key_bytes(key), bytes(self._leaf_size))


class OutOfRangeError(MapKeyError, IndexError):
    """An array has no such index."""


class Array(ArrayBase):
    """An array of values (``BPF_ARRAY``, ``BPF_HISTOGRAM`` with slots for keys)."""

    def __delitem__(self, key: Any) -> None:
        """Set a leaf to zero, as nothing can be removed from an array."""
        self.clearitem(key)


class DescriptorArray(ArrayBase):
    """An array whose leaves are set as file descriptors."""

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return descriptor_of(leaf, self._map.name).to_bytes(self._leaf_size, "little")

    def __delitem__(self, key: Any) -> None:
        """Take the leaf of an index out of the array."""
        if not self._map.delete_bytes(self._key_bytes(key)):
            raise self._no_such_key(key)

    def clear(self) -> None:
        """Take all leaves out; one by one, as the kernel lets most such maps neither be read nor be emptied at once."""
        for index in range(self.max_entries):
            self._map.delete_bytes(index.to_bytes(4, "little"))


def descriptor_of(given: Any, name: str) -> int:
    """Return the file descriptor that is meant: a table's, a Function's, a file's or a socket's, or the number."""
    found = given
    for attribute in ("map_fd", "fd", "value"):
        found = getattr(found, attribute, found)
    if not isinstance(found, int) and hasattr(found, "fileno"):
        found = found.fileno()
    if not isinstance(found, int):
        message = f"`{name}` takes a file descriptor or an object with one, not {type(given).__name__}"
        raise TypeError(message)
    return found


class ProgArray(DescriptorArray):
    """An array of programs for tail calls; a leaf is set as a Function or its file descriptor."""


class CgroupArray(DescriptorArray):
    """An array of cgroups; a leaf is set as the path of its folder or as a file descriptor of it."""

    def __setitem__(self, key: Any, leaf: Any) -> None:
        """Set a cgroup."""
        if not isinstance(leaf, (str, bytes)):
            super().__setitem__(key, leaf)
            return
        # The kernel holds on to the cgroup itself.
        folder = os.open(text(leaf), os.O_RDONLY | os.O_DIRECTORY)
        try:
            super().__setitem__(key, folder)
        finally:
            os.close(folder)


class MapInMapArray(DescriptorArray):
    """An array of maps; a leaf is set as a table or its file descriptor, and read as the map's id."""


class DevMap(ArrayBase):
    """An array of network interfaces to redirect to, as their numbers."""


class CpuMap(ArrayBase):
    """An array of CPUs to redirect to, as the length of the queue to each."""


class XskMap(DescriptorArray):
    """An array of AF_XDP sockets; a leaf is set as a socket's file descriptor."""
