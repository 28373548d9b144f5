"""Read a full hash map with rtrace: ``python -m bench.peers.rtrace_maps OBJECT MAP ENTRIES ROUNDS TIMES``."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

import rtrace
from bench import bpf

if TYPE_CHECKING:
    from collections.abc import Callable

# include/uapi/linux/bpf.h: enum bpf_cmd.
MAP_GET_FD_BY_ID = 14
MAP_UPDATE_BATCH = 26


def fill(table: rtrace.Map, entries: int) -> None:
    """Put numbers into it, in one system call."""
    keys, values = np.zeros(entries, table.key_dtype), np.zeros(entries, table.value_dtype)
    for array in (keys, values):
        first = array[array.dtype.names[0]] if array.dtype.names else array
        first[:] = np.arange(entries)
    fd = bpf.call(MAP_GET_FD_BY_ID, struct.pack("=I", table.id))
    batch = struct.pack("=QQQQIIQQ", 0, 0, keys.ctypes.data, values.ctypes.data, entries, fd, 0, 0)
    bpf.call(MAP_UPDATE_BATCH, batch)
    os.close(fd)


def timed(action: Callable[[], object]) -> tuple[int, object]:
    """Do it and say how much CPU time it took."""
    began = time.process_time_ns()
    result = action()
    return time.process_time_ns() - began, result


def once(table: rtrace.Map, entries: int) -> Counter[str]:
    """Fill it, read it, and see that everything came."""
    facts: Counter[str] = Counter()
    fill(table, entries)
    facts["to_dict_ns"], whole = timed(table.to_dict)
    facts["snapshot_ns"], snapshot = timed(table.snapshot)
    facts["drain_ns"], drained = timed(table.drain)
    for found in (snapshot, drained):
        keys, values = found  # type: ignore[misc]
        first = [array[array.dtype.names[0]] if array.dtype.names else array for array in (keys, values)]
        assert np.array_equal(np.sort(first[0]), np.arange(entries))  # noqa: S101
        assert (first[0] == first[1]).all()  # noqa: S101
    assert len(whole) == entries  # type: ignore[arg-type]  # noqa: S101
    del whole, snapshot, drained, found, keys, values, first
    fill(table, entries)
    facts["clear_ns"], _ = timed(table.clear)
    assert len(table.snapshot()[0]) == 0  # noqa: S101
    return facts


def main(path: str, name: str, entries: int, rounds: int, times: int) -> None:
    """Print means of so many times, once per round."""
    spec = rtrace.ObjectSpec.open(path)
    spec.set_max_entries(name, entries)
    with spec.load({}) as loaded:
        table = loaded.map(name)
        for _ in range(rounds):
            total = sum((once(table, entries) for _ in range(times)), Counter())
            print(json.dumps({metric: time / times for metric, time in total.items()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
