"""A BPF object from a file: its tables, events and printed lines, for where no program can be loaded.

The tables are rtrace's own classes, so that what a lesson does with them is what it would do with live ones.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrace.bcc.bpf_html import bpf_html
from rtrace.bcc.tables import make

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rtrace import BPF

# Maps that hold events for one reader, by their number in the kernel: perf buffers and ring buffers.
BUFFERS = {4, 27}


class RecordedMap:
    """The bytes of a map, by the methods that tables call to read it."""

    per_cpu = False
    cpus = 1
    fd = -1

    def __init__(self, name: str, facts: dict[str, Any], keys: bytes, values: bytes) -> None:
        self.name = name
        self.map_type = facts["map_type"]
        self.flags = facts["flags"]
        self.max_entries = facts["max_entries"]
        self.key_bytes = facts["key_bytes"]
        self.value_bytes = facts["value_bytes"]
        self._keys = keys
        self._values = values

    def snapshot_bytes(self, *, delete: bool = False) -> tuple[bytes, bytes, int]:
        """Return all keys, all values, and how many there are; nothing is ever deleted."""
        del delete
        return self._keys, self._values, len(self._keys) // self.key_bytes

    def lookup_bytes(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        for place in range(0, len(self._keys), self.key_bytes):
            if self._keys[place : place + self.key_bytes] == key:
                start = place // self.key_bytes * self.value_bytes
                return self._values[start : start + self.value_bytes]
        return None


class RecordedEvents:
    """A buffer of events of which all have come already."""

    def __init__(self, events: NDArray[Any], lost: int) -> None:
        self._events = events
        self.lost = lost

    def read(self, timeout: float | None = None) -> NDArray[Any]:
        """Return all events, the first time."""
        del timeout
        events, self._events = self._events, self._events[:0]
        return events


class RecordedBPF:
    """What stands for a BPF object; made by :func:`save`, read by :func:`load`."""

    closed = False

    def __init__(self, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.kernel = facts["kernel"]
        self.counts_powers = facts["counts_powers"]
        self._facts = facts
        # Nothing is loaded; it answers what tables ask of that.
        self.loaded = self
        self._lines = [
            tuple(text.encode() if isinstance(text, str) else text for text in line) for line in facts["lines"]
        ]
        self._tables: dict[str, Any] = {}
        for name, about in facts["maps"].items():
            if about["map_type"] in BUFFERS:
                self._tables[name] = RecordedEvents(arrays[f"{name}.events"], about["lost"])
            else:
                native: Any = RecordedMap(
                    name, about, *(arrays[f"{name}.{part}"].tobytes() for part in ("keys", "values"))
                )
                self._tables[name] = make.make(self, native, about["types"])  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Any:
        """Return a table."""
        return self._tables[name]

    @property
    def histograms(self) -> list[str]:
        """Names of the maps that are histograms."""
        return self._facts["histograms"]

    def trace_fields(self, nonblocking: bool = False) -> tuple[Any, ...]:  # noqa: FBT001, FBT002  # as of BPF
        """Return the next line that the program has printed, in parts."""
        del nonblocking
        return self._lines.pop(0) if self._lines else (None,) * 6

    def close(self) -> None:
        """Do nothing: nothing is attached."""

    def _repr_html_(self) -> str:
        facts = self._facts
        sizes = {name: about["max_entries"] for name, about in facts["maps"].items()}
        types = {name: about["types"] for name, about in facts["maps"].items()}
        spec: Any = SimpleNamespace(name="<text>", programs=facts["programs"], maps=sizes, histograms=self.histograms,
                                    types=types.__getitem__)  # fmt: skip
        links = [SimpleNamespace(program=program, kind=kind, target=target) for program, kind, target in facts["links"]]
        this: Any = SimpleNamespace(
            closed=False,
            missed=lambda: facts["missed"],
            readers=SimpleNamespace(losses=dict),
            loaded=SimpleNamespace(links=SimpleNamespace(all=lambda: links)),
            native=SimpleNamespace(map=lambda name: SimpleNamespace(map_type=facts["maps"][name]["map_type"])),
        )
        return bpf_html(this, spec)

    def __repr__(self) -> str:
        """Return what a live one says of itself."""
        return f"<BPF recorded maps={list(self._tables)}>"


def save(path: Path, bpf: BPF, kernel: str) -> None:
    """Keep what a BPF object has counted, printed and sent so far."""
    arrays: dict[str, NDArray[Any]] = {}
    maps = {}
    for name in sorted(bpf._spec.maps):  # noqa: SLF001  # rtrace's own
        native = bpf.native.map(name)
        maps[name] = {
            **{
                fact: getattr(native, fact) for fact in ("map_type", "flags", "max_entries", "key_bytes", "value_bytes")
            },
            "types": bpf._spec.types(name),  # noqa: SLF001
        }
        if native.map_type in BUFFERS:
            arrays[f"{name}.events"] = bpf[name].read(timeout=0)
            maps[name]["lost"] = bpf[name].lost
        else:
            keys, values, _ = native.snapshot_bytes()
            arrays[f"{name}.keys"] = np.frombuffer(keys, np.uint8)
            arrays[f"{name}.values"] = np.frombuffer(values, np.uint8)
    lines = []
    while (line := bpf.trace_fields(nonblocking=True))[0] is not None:
        lines.append([part.decode(errors="replace") if isinstance(part, bytes) else part for part in line])
    facts = {
        "kernel": kernel,
        "programs": bpf._spec.programs,  # noqa: SLF001
        "links": sorted((link.program, link.kind, link.target) for link in bpf.loaded.links.all()),
        "missed": bpf.missed(),
        "histograms": bpf.histograms,
        "counts_powers": bpf.counts_powers,
        "maps": maps,
        "lines": lines,
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> RecordedBPF:
    """Read what :func:`save` has kept."""
    with np.load(path) as file:
        arrays = dict(file)
    return RecordedBPF(json.loads(arrays.pop("facts").tobytes()), arrays)
