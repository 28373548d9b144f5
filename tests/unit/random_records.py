"""Records of any layout, their bytes at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence


@st.composite
def records(draw: st.DrawFn, kinds: Sequence[Any], *, most: int, align: bool = False) -> np.ndarray:
    """Make up to `most` records whose fields are of these kinds; with `align` some of them with padding."""
    taken = draw(st.lists(st.sampled_from(kinds), max_size=5))
    fields = [("ts_ns", "u8"), *((f"field_{place}", kind) for place, kind in enumerate(taken))]
    dtype = np.dtype(fields, align=align and draw(st.booleans()))
    length = draw(st.integers(0, most))
    raw = draw(st.binary(min_size=length * dtype.itemsize, max_size=length * dtype.itemsize))
    made = np.frombuffer(raw, dtype).copy()
    for name in dtype.names or ():
        # A bool is one of two bytes, a float any number.
        base = dtype[name].base
        if base.kind == "b":
            made[name] = made[name].view(np.uint8) & 1
        if base.kind == "f":
            made[name] = np.nan_to_num(made[name])
    return made
