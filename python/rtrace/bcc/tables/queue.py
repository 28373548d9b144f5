"""Queues and stacks: leaves without keys."""

from __future__ import annotations

from rtrace.bcc import ctypes_text, ctypes_values
from rtrace.bcc.loaded import Owned
from rtrace.bcc.names import raw, text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF
    from rtrace.bcc.names import Name


class QueueStack(Owned):
    """A queue (first in, first out) or stack (last in, first out) of leaves."""

    # Flag for `push`.
    BPF_EXIST = 2

    def __init__(self, bpf: BPF, native: _rtrace.Map, leaf: Any, name: str) -> None:
        super().__init__(bpf)
        self.Leaf = leaf
        self.max_entries = native.max_entries
        self.flags = native.flags
        self.ttype = native.map_type
        self._map = native
        self._name = raw(name)

    @property
    def map_fd(self) -> int:
        """File descriptor of the map."""
        return self._map.fd

    def get_fd(self) -> int:
        """Return the map's file descriptor."""
        return self._map.fd

    def push(self, leaf: Any, flags: int = 0) -> None:
        """Add a leaf; with flag BPF_EXIST (2) the oldest makes room when it is full."""
        self._map.push(ctypes_values.to_bytes(self.Leaf, leaf, self._map.value_bytes), flags)

    def pop(self) -> Any:
        """Take the next leaf out; KeyError if there is none."""
        return self._leaf(self._map.pop())

    def peek(self) -> Any:
        """Return the next leaf and leave it; KeyError if there is none."""
        return self._leaf(self._map.peek())

    def _leaf(self, data: bytes | None) -> Any:
        if data is None:
            from rtrace.errors import MapKeyError  # noqa: PLC0415  # rarely

            name = self._map.name
            message = f"take from map `{name}`: it is empty"
            raise MapKeyError(message, map=name)
        return self.Leaf.from_buffer_copy(data)

    def itervalues(self) -> Iterator[Any]:
        """Take out leaf after leaf until there is none."""
        while (data := self._map.pop()) is not None:
            yield self.Leaf.from_buffer_copy(data)

    def values(self) -> list[Any]:
        """Take out all leaves."""
        return list(self.itervalues())

    def leaf_sprintf(self, leaf: Any) -> bytes:
        """Return a leaf as text: numbers in hexadecimal, ``char`` arrays in quotes, members in braces."""
        return ctypes_text.to_text(self.Leaf, leaf)

    def leaf_scanf(self, leaf_str: Name) -> Any:
        """Return the leaf that :meth:`leaf_sprintf` gave the text of; ValueError if it is another type's."""
        return ctypes_text.from_words(self.Leaf, text(leaf_str))

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self._map.name} max_entries={self.max_entries}>"
