"""Read a full hash map with bcc: ``bcc_maps.py MAP ENTRIES ROUNDS TIMES``, for Debian's python3-bpfcc."""

from __future__ import annotations

import json
import sys
import time

from bcc import BPF  # type: ignore[import-not-found]

TABLES = """
struct key {
    u64 low;
    u64 high;
};

struct value {
    u64 count;
    u64 sum;
    u64 last;
};

BPF_HASH(small, u32, u64, ENTRIES);
BPF_HASH(large, struct key, struct value, ENTRIES);
"""


def main(name: str, entries: int, rounds: int, times: int) -> None:
    """Fill it, then make a dict of its items, so many times per round."""
    table = BPF(text=TABLES.replace("ENTRIES", str(entries)))[name]
    keys, values = (table.Key * entries)(), (table.Leaf * entries)()
    for number in range(entries):
        if name == "small":
            keys[number], values[number] = number, number
        else:
            keys[number].low, values[number].count = number, number
    for _ in range(rounds):
        table.items_update_batch(keys, values)
        began = time.process_time_ns()
        for _ in range(times):
            if name == "small":
                found = {key.value: value.value for key, value in table.items()}
            else:
                found = {(key.low, key.high): (value.count, value.sum, value.last) for key, value in table.items()}
        took = time.process_time_ns() - began
        assert len(found) == entries  # noqa: S101
        print(json.dumps({"to_dict_ns": took / times}), flush=True)


main(sys.argv[1], *map(int, sys.argv[2:]))
