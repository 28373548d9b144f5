"""Collect the format files of a kernel's tracepoints, and pack what was collected.

``python collect.py read TRACEFS FILE`` writes all formats of the running kernel to FILE; run it on each kernel, in
the guests of `tests.vm` with as many modules loaded as can be. ``python collect.py pack KEY=FILE...`` writes
`formats.xz`, in which the many that kernels share cost next to nothing.
"""

# ruff: noqa: INP001 (a script beside what it makes)
from __future__ import annotations

import lzma
import sys
from pathlib import Path

PACKED = Path(__file__).with_name("formats.xz")
# Repetitions are found a whole kernel apart.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 25}]


def read(tracefs: Path) -> dict[str, str]:
    """Return the text of every format file by the name of its tracepoint, ``category/name``."""
    events = tracefs / "events"
    paths = sorted(events.glob("*/*/format"))
    return {str(path.parent.relative_to(events)): path.read_text() for path in paths}


def pack(kernels: dict[str, dict[str, str]]) -> None:
    """Write `formats.xz`."""
    records = [f"\0{kernel} {name}\n{text}" for kernel, formats in kernels.items() for name, text in formats.items()]
    PACKED.write_bytes(lzma.compress("".join(records).encode(), filters=FILTERS))


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    match arguments:
        case ["read", tracefs, file]:
            formats = read(Path(tracefs))
            Path(file).write_text("".join(f"\0{name}\n{text}" for name, text in formats.items()))
        case ["pack", *files]:
            kernels = {}
            for key, _, file in (argument.partition("=") for argument in files):
                records = (record.partition("\n") for record in Path(file).read_text().split("\0")[1:])
                kernels[key] = {name: text for name, _, text in records}
            pack(kernels)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
