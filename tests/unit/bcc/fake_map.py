"""A native map in memory, and its owner: the seam where real ones need root."""

from __future__ import annotations

from typing import Any, cast


class FakeBpf:
    """What a table knows of the object that it belongs to."""

    def __init__(self, *, histograms: tuple[str, ...] = (), counts_powers: bool = True) -> None:
        self.histograms = histograms
        self.counts_powers = counts_powers
        # What is loaded answers the same questions.
        self.loaded = self


def owner(**facts: Any) -> Any:
    """Return what a table takes for the object that it belongs to."""
    return cast("Any", FakeBpf(**facts))


class FakeMap:
    """The bytes of a map, by the methods that tables call."""

    def __init__(self, *, map_type: int = 1, key: int = 4, value: int = 8, entries: int = 64, flags: int = 0) -> None:
        self.name = "fake"
        self.map_type = map_type
        self.key_bytes = key
        self.value_bytes = value
        self.max_entries = entries
        self.flags = flags
        self.fd = 77
        self.cpus = 4
        self._entry_bytes = value * self.cpus if map_type in {5, 6, 10} else value
        self.data: dict[bytes, bytes] = {}
        if map_type in {2, 6}:
            self.data = {number.to_bytes(4, "little"): bytes(self._entry_bytes) for number in range(entries)}

    def lookup_bytes(self, key: bytes) -> bytes | None:
        assert len(key) == self.key_bytes
        return self.data.get(key)

    def update_bytes(self, key: bytes, value: bytes, flags: int = 0) -> None:
        assert (len(key), len(value), flags) == (self.key_bytes, self._entry_bytes, 0)
        self.data[key] = value

    def delete_bytes(self, key: bytes) -> bool:
        return self.data.pop(key, None) is not None

    def next_key(self, key: bytes | None) -> bytes | None:
        keys = list(self.data)
        following = keys if key is None else keys[keys.index(key) + 1 :]
        return following[0] if following else None

    def snapshot_bytes(self, *, delete: bool = False) -> tuple[bytes, bytes, int]:
        found = b"".join(self.data), b"".join(self.data.values()), len(self.data)
        if delete:
            self.data.clear()
        return found

    def clear(self) -> None:
        for key in list(self.data):
            if self.map_type in {2, 6}:
                self.data[key] = bytes(self._entry_bytes)
            else:
                del self.data[key]

    def update_many(self, keys: bytes, values: bytes) -> None:
        for number in range(len(keys) // self.key_bytes):
            key = keys[number * self.key_bytes :][: self.key_bytes]
            self.update_bytes(key, values[number * self._entry_bytes :][: self._entry_bytes])

    def delete_many(self, keys: bytes) -> None:
        for start in range(0, len(keys), self.key_bytes):
            self.delete_bytes(keys[start : start + self.key_bytes])
