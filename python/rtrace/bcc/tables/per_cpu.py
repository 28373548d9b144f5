"""Tables with a leaf for every CPU."""

from __future__ import annotations

import ctypes as ct
from functools import reduce

from rtrace.bcc import ctypes_types, ctypes_values
from rtrace.bcc.tables.array import ArrayBase
from rtrace.bcc.tables.base import TableBase

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF


class PerCpuTable(TableBase):
    """A leaf is an array of one value for every possible CPU, or what `reducer` makes of them.

    Attributes
    ----------
    sLeaf
        ctypes class of one CPU's value; any size is allowed.
    total_cpu : int
        Possible CPUs.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # one more than every table
        self,
        bpf: BPF,
        native: _rtrace.Map,
        key: Any,
        leaf: Any,
        name: str,
        reducer: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.total_cpu = native.cpus
        super().__init__(bpf, native, key, leaf * self.total_cpu, name)
        self.sLeaf = leaf
        self.reducer = reducer
        self._leaf_size = ct.sizeof(leaf) * self.total_cpu

    def _leaves(self, data: bytes) -> list[Any]:
        step = self._leaf_size
        return [self._reduced(self._leaf(data[start : start + step])) for start in range(0, len(data), step)]

    def _leaf_bytes(self, leaf: Any) -> bytes:
        """Take an array of as many values as CPUs, or one value for all of them."""
        size = ct.sizeof(self.sLeaf)
        # One value may be an array, or a number of 128 bits, which is one of two.
        are_numbers = ctypes_types.is_number(self.sLeaf)
        many = isinstance(leaf, (list, tuple)) or (
            isinstance(leaf, ct.Array) and not isinstance(leaf, self.sLeaf) and (are_numbers or ct.sizeof(leaf) != size)
        )
        values = list(leaf) if many else [leaf] * self.total_cpu
        if len(values) != self.total_cpu:
            message = f"`{self._map.name}` has {self.total_cpu} CPUs, got {len(values)} values"
            raise ValueError(message)
        return b"".join(ctypes_values.to_bytes(self.sLeaf, value, size) for value in values)

    def _reduced(self, leaf: Any) -> Any:
        return leaf if self.reducer is None else reduce(self.reducer, self._values(leaf))

    def _values(self, leaf: Any) -> list[Any]:
        """Return the CPUs' values as instances of their class."""
        return [ctypes_values.make(self.sLeaf, value) for value in leaf]

    def _count_of(self, leaf: Any) -> int:
        summed = self.reducer is None and ctypes_types.is_number(self.sLeaf)
        return sum(super(PerCpuTable, self)._count_of(value) for value in leaf) if summed else super()._count_of(leaf)

    def getvalue(self, key: Any) -> Any:
        """Return the array of the CPUs' values of a key."""
        return super().__getitem__(key)

    def __getitem__(self, key: Any) -> Any:
        """Return the array of the CPUs' values of a key, or what the reducer makes of it."""
        return self._reduced(self.getvalue(key))

    def sum(self, key: Any) -> Any:
        """Return the sum over the CPUs, as one leaf; wraps as C does."""
        return self.sLeaf(sum(self._numbers(key)))

    def max(self, key: Any) -> Any:
        """Return the largest of the CPUs' values, as one leaf."""
        return self.sLeaf(max(self._numbers(key)))

    def average(self, key: Any) -> Any:
        """Return the mean over the possible CPUs, rounded down, as one leaf."""
        return self.sLeaf(sum(self._numbers(key)) // self.total_cpu)

    def _numbers(self, key: Any) -> list[Any]:
        if not ctypes_types.is_number(self.sLeaf):
            message = f"`{self._map.name}` holds {self.sLeaf.__name__}, no numbers: give a reducer to get_table"
            raise TypeError(message)
        return list(self.getvalue(key))


class PerCpuHash(PerCpuTable):
    """A hash map with a leaf for every CPU."""


class LruPerCpuHash(PerCpuHash):
    """A hash map with a leaf for every CPU that drops its least recently used entries when it is full."""


class PerCpuArray(PerCpuTable, ArrayBase):
    """An array with a leaf for every CPU."""

    def __delitem__(self, key: Any) -> None:
        """Set the leaves of an index to zero, as nothing can be removed from an array."""
        self.clearitem(key)
