"""Hash tables, plain and LRU, and hash maps of maps."""

from __future__ import annotations

from rtrace.bcc.tables.array import descriptor_of
from rtrace.bcc.tables.base import TableBase

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


class HashTable(TableBase):
    """A hash map (``BPF_HASH``, ``BPF_HISTOGRAM`` with a struct for a key)."""


class LruHash(HashTable):
    """A hash map that drops its least recently used entries when it is full."""


class LpmTrie(TableBase):
    """A trie of prefixes: a lookup gives the leaf of the longest prefix that matches."""


class MapInMapHash(HashTable):
    """A hash map of maps; a leaf is set as a table or its file descriptor, and read as the map's id."""

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return descriptor_of(leaf, self._map.name).to_bytes(self._leaf_size, "little")
