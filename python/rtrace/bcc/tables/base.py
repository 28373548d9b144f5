"""What every table has: ctypes keys and leaves over a native map, and the ways out of ctypes to numpy and dict."""

from __future__ import annotations

import ctypes as ct
from collections.abc import MutableMapping

from rtrace.bcc import ctypes_text, ctypes_types, ctypes_values
from rtrace.bcc.loaded import Owned
from rtrace.bcc.names import raw, text
from rtrace.bcc.tables.histograms import HistogramTable
from rtrace.errors import MapKeyError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF
    from rtrace.bcc.names import Name


class TableBase(Owned, HistogramTable, MutableMapping):  # type: ignore[type-arg]  # keys and leaves are made at run time
    """A map of the kernel as a mapping from ctypes keys to ctypes leaves.

    Reading several entries takes one snapshot in batches instead of system calls for each key.

    Attributes
    ----------
    Key, Leaf
        ctypes classes of the C types, or those asked for in ``get_table``.
    max_entries : int
        Most entries that it holds.
    flags : int
        Flags it was made with.
    map_fd : int
        File descriptor of the map, good until the owner is closed.
    """

    def __init__(self, bpf: BPF, native: _rtrace.Map, key: Any, leaf: Any, name: str) -> None:
        Owned.__init__(self, bpf)
        self.Key = key
        self.Leaf = leaf
        self.max_entries = native.max_entries
        self.flags = native.flags
        self.ttype = native.map_type
        self._map = native
        self._name = raw(name)
        self._key_size = native.key_bytes
        self._leaf_size = native.value_bytes

    @property
    def map_fd(self) -> int:
        """File descriptor of the map."""
        return self._map.fd

    def get_fd(self) -> int:
        """Return the map's file descriptor."""
        return self._map.fd

    # One entry.

    def _key_bytes(self, key: Any) -> bytes:
        return ctypes_values.to_bytes(self.Key, key, self._key_size)

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return ctypes_values.to_bytes(self.Leaf, leaf, self._leaf_size)

    def _leaf(self, data: bytes) -> Any:
        return self.Leaf.from_buffer_copy(data)

    def _no_such_key(self, key: Any) -> MapKeyError:
        is_ctypes = isinstance(key, (ct.Structure, ct.Union, ct.Array, ct._SimpleCData))  # noqa: SLF001
        shown = " ".join(ctypes_text.words(key)) if is_ctypes else repr(key)
        name = self._map.name
        return MapKeyError(f"look up in map `{name}`: no key {shown}", map=name)

    def __getitem__(self, key: Any) -> Any:
        """Return the leaf of a key."""
        data = self._map.lookup_bytes(self._key_bytes(key))
        if data is None:
            raise self._no_such_key(key)
        return self._leaf(data)

    def __setitem__(self, key: Any, leaf: Any) -> None:
        """Set the leaf of a key."""
        self._map.update_bytes(self._key_bytes(key), self._leaf_bytes(leaf))

    def __delitem__(self, key: Any) -> None:
        """Remove a key."""
        if not self._map.delete_bytes(self._key_bytes(key)):
            raise self._no_such_key(key)

    def __contains__(self, key: object) -> bool:
        """Whether the map has the key now."""
        return self._map.lookup_bytes(self._key_bytes(key)) is not None

    def next(self, key: Any) -> Any:
        """Return the key after `key` in the kernel's order; StopIteration after the last."""
        following = self._map.next_key(None if key is None else self._key_bytes(key))
        if following is None:
            raise StopIteration
        return self.Key.from_buffer_copy(following)

    # All entries.

    def _entries(self, keys: bytes, leaves: bytes) -> list[tuple[Any, Any]]:
        return list(zip(ctypes_values.instances(self.Key, keys), self._leaves(leaves), strict=True))

    def _leaves(self, data: bytes) -> list[Any]:
        return ctypes_values.instances(self.Leaf, data)

    def items(self) -> list[tuple[Any, Any]]:  # type: ignore[override]  # bcc gives lists
        """Return keys and leaves of one snapshot."""
        keys, leaves, _ = self._map.snapshot_bytes()
        return self._entries(keys, leaves)

    def iteritems(self) -> Iterator[tuple[Any, Any]]:
        """Return an iterator over :meth:`items`."""
        return iter(self.items())

    def values(self) -> list[Any]:  # type: ignore[override]
        """Return the leaves of one snapshot."""
        return self._leaves(self._map.snapshot_bytes()[1])

    def itervalues(self) -> Iterator[Any]:
        """Return an iterator over :meth:`values`."""
        return iter(self.values())

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the keys of one snapshot, which may be removed meanwhile."""
        return iter(ctypes_values.instances(self.Key, self._map.snapshot_bytes()[0]))

    def keys(self) -> Iterator[Any]:  # type: ignore[override]
        """Return an iterator over the keys."""
        return iter(self)

    def iter(self) -> Iterator[Any]:
        """Return an iterator over the keys."""
        return iter(self)

    def __len__(self) -> int:
        """Return how many entries there are now."""
        return self._map.snapshot_bytes()[2]

    def clear(self) -> None:
        """Remove every entry, in batches; entries that programs add meanwhile may stay."""
        self._map.clear()

    def zero(self) -> None:
        """Set every leaf that is there to zero."""
        keys, leaves, _ = self._map.snapshot_bytes()
        self._map.update_many(keys, bytes(len(leaves)))

    # Batches.

    def items_lookup_batch(self) -> Iterator[tuple[Any, Any]]:
        """Return an iterator over the entries of one snapshot."""
        return iter(self.items())

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[Any, Any]]:
        """Return an iterator over the entries, all of which are removed now, each in one step with its reading."""
        keys, leaves, _ = self._map.snapshot_bytes(delete=True)
        return iter(self._entries(keys, leaves))

    def items_delete_batch(self, ct_keys: Iterable[Any] | None = None) -> None:
        """Remove these keys (a ctypes array or any iterable), or all; keys that are not there do not matter.

        Raises
        ------
        TypeError, ValueError
            If they are no keys of this table, none at all, or more than it has room for.
        """
        if ct_keys is None:
            self.clear()
            return
        self._map.delete_many(self._joined(ct_keys, "keys"))

    def items_update_batch(self, ct_keys: Iterable[Any], ct_values: Iterable[Any]) -> None:
        """Set the leaves of many keys (ctypes arrays or any iterables of the same length).

        Raises
        ------
        TypeError, ValueError
            If they are no keys or leaves of this table, none at all, more than it has room for, or not as many.
        """
        keys = self._joined(ct_keys, "keys")
        leaves = self._joined(ct_values, "leaves")
        if len(keys) // self._key_size != len(leaves) // self._leaf_size:
            message = f"{len(keys) // self._key_size} keys but {len(leaves) // self._leaf_size} values"
            raise ValueError(message)
        self._map.update_many(keys, leaves)

    def _joined(self, values: Iterable[Any], what: str) -> bytes:
        """Return the bytes of many ``keys`` or ``leaves``."""
        name, kind, size = self._map.name, self.Key, self._key_size
        convert: Callable[[Any], bytes] = self._key_bytes
        if what == "leaves":
            kind, size, convert = self.Leaf, self._leaf_size, self._leaf_bytes
        # The items of bytes and of a text are numbers and letters, which nobody means.
        if not isinstance(values, ct.Array) and (
            isinstance(values, (str, bytes, bytearray)) or not hasattr(values, "__iter__")
        ):
            message = f"{what} of `{name}` come as a ctypes array or another iterable, not {type(values).__name__}"
            raise TypeError(message)
        if isinstance(values, ct.Array) and values._type_ is kind and ct.sizeof(kind) == size:
            data = bytes(values)
        else:
            data = b"".join(self._converted(value, what, convert) for value in values)
        count = len(data) // size
        if not 1 <= count <= self.max_entries:
            message = f"{count} {what} for `{name}`, which has room for {self.max_entries}"
            raise ValueError(message if count else f"no {what} for `{name}`: give at least one")
        return data

    def _converted(self, value: Any, what: str, convert: Callable[[Any], bytes]) -> bytes:
        try:
            return convert(value)
        except TypeError as error:
            one = {"keys": "key", "leaves": "leaf"}[what]
            message = f"a {one} of `{self._map.name}` cannot be {value!r}: {error}"
            raise TypeError(message) from error

    # Out of ctypes.

    def to_numpy(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the keys and the leaves of one snapshot as two numpy arrays, row by row.

        Keys have shape ``(n,)``, leaves ``(n,)`` or, of a per-CPU table, ``(n, cpus)``; arrays have their own
        dimensions behind these. Both own their memory. Dtypes follow the C types, see
        :attr:`rtrace._rtrace.Map.key_dtype`: members of anonymous structs and unions are at their own offsets, and a
        bit field is a column of its own.
        """
        return self._map.snapshot()

    def to_dict(self) -> dict[Any, Any]:
        """Return one snapshot as a dict of Python's own values.

        Structs and unions are tuples of all members in C's order, those of anonymous ones in their place; arrays are
        tuples in keys and lists in leaves, ``char`` arrays bytes. A key of the dict finds its leaf in the table, too.
        See :meth:`rtrace._rtrace.Map.to_dict`.
        """
        return self._map.to_dict()

    # Text, as bcc prints it.

    def key_sprintf(self, key: Any) -> bytes:
        """Return a key as text: numbers in hexadecimal, ``char`` arrays in quotes, members in braces."""
        return ctypes_text.to_text(self.Key, key)

    def leaf_sprintf(self, leaf: Any) -> bytes:
        """Return a leaf as text: numbers in hexadecimal, ``char`` arrays in quotes, members in braces."""
        return ctypes_text.to_text(self.Leaf, leaf)

    # What displays ask.

    @property
    def name(self) -> str:
        """Name of the map."""
        return self._map.name

    @property
    def is_histogram(self) -> bool:
        """Whether the program declares it by ``BPF_HISTOGRAM``."""
        return self._map.name in self.loaded.histograms

    @property
    def counts_powers(self) -> bool:
        """Whether its slots, if it is a histogram, are powers of two, as far as the source tells."""
        return self.loaded.counts_powers

    @property
    def key_fields(self) -> list[str]:
        """Names of the key's members; none if it is no struct."""
        return _members(self.Key)

    @property
    def leaf_fields(self) -> list[str]:
        """Names of the leaf's members; none if it is no struct."""
        return _members(self.Leaf)

    def _repr_html_(self) -> str:
        from rtrace.bcc.tables.html import table_html  # noqa: PLC0415  # only notebooks need it

        return table_html(self)

    def key_scanf(self, key_str: Name) -> Any:
        """Return the key that :meth:`key_sprintf` gave the text of; ValueError if it is another type's."""
        return ctypes_text.from_words(self.Key, text(key_str))

    def leaf_scanf(self, leaf_str: Name) -> Any:
        """Return the leaf that :meth:`leaf_sprintf` gave the text of; ValueError if it is another type's."""
        return ctypes_text.from_words(self.Leaf, text(leaf_str))

    def __hash__(self) -> int:
        """Hash by identity, as mappings that change do not have to."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same table."""
        return self is other

    def __repr__(self) -> str:
        """Return the class and the name."""
        return f"<{type(self).__name__} {self._map.name} max_entries={self.max_entries}>"


def _members(kind: Any) -> list[str]:
    return [name for name, _ in ctypes_types.members(kind)] if issubclass(kind, (ct.Structure, ct.Union)) else []
