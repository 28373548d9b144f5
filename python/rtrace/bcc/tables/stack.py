"""Stack traces: from a stack's id to its addresses."""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc.tables.base import TableBase

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF

BUILD_ID_FLAG = 1 << 5  # BPF_F_STACK_BUILD_ID
_EMPTY = 0  # BPF_STACK_BUILD_ID_EMPTY
_BUILD_ID_BYTES = 20


class BuildIdFrame(ct.Structure):
    """A frame as build id and offset (status 1), or as an address where there is no build id (status 2)."""

    # struct bpf_stack_build_id, whose last member is a union of offset and ip.
    _fields_ = (
        ("status", ct.c_uint32),
        ("build_id", ct.c_ubyte * _BUILD_ID_BYTES),
        ("offset", ct.c_uint64),
    )

    @property
    def ip(self) -> int:
        """The address, where there is no build id."""
        return int(self.offset)


class StackTrace(TableBase):
    """A map of stack traces (``BPF_STACK_TRACE``, ``BPF_STACK_TRACE_BUILDID``)."""

    MAX_DEPTH = 127

    def __init__(self, bpf: BPF, native: _rtrace.Map, key: Any, leaf: Any, name: str) -> None:
        super().__init__(bpf, native, key, leaf, name)
        frame = BuildIdFrame if self.flags & BUILD_ID_FLAG else ct.c_uint64
        member = "trace" if self.flags & BUILD_ID_FLAG else "ip"
        frames = native.value_bytes // ct.sizeof(frame)
        self.Key = ct.c_int
        self.Leaf = type("bpf_stacktrace", (ct.Structure,), {"_fields_": [(member, frame * frames)]})
        self._member = member

    def _key_bytes(self, key: Any) -> bytes:
        number = getattr(key, "value", key)
        return ct.c_int(number).value.to_bytes(4, "little", signed=True)

    def walk(self, stack_id: Any, resolve: Callable[[Any], Any] | None = None) -> Iterator[Any]:
        """Return an iterator over a stack's frames, innermost first: addresses, or what `resolve` makes of them.

        With build ids a frame is a struct of ``status``, ``build_id`` and ``offset``. Raises KeyError for an id that
        is not there.
        """
        frames = getattr(self[stack_id], self._member)
        return _walk(frames, resolve)

    def __len__(self) -> int:
        """Return how many stacks there are now."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the ids of the stacks that are there."""
        key = self._map.next_key(None)
        while key is not None:
            yield self.Key.from_buffer_copy(key)
            key = self._map.next_key(key)

    def items(self) -> list[tuple[Any, Any]]:  # type: ignore[override]
        """Return ids and stacks."""
        found = []
        for key in self:
            data = self._map.lookup_bytes(bytes(key))
            if data is not None:
                found.append((key, self.Leaf.from_buffer_copy(data)))
        return found

    def values(self) -> list[Any]:  # type: ignore[override]
        """Return the stacks."""
        return [leaf for _, leaf in self.items()]

    def clear(self) -> None:
        """Remove every stack."""
        for key in list(self):
            self._map.delete_bytes(bytes(key))


def _walk(frames: Any, resolve: Callable[[Any], Any] | None) -> Iterator[Any]:
    """Yield the frames up to the first empty one."""
    for frame in frames:
        if (frame == 0) if isinstance(frame, int) else frame.status == _EMPTY:
            return
        yield resolve(frame) if resolve is not None else frame
