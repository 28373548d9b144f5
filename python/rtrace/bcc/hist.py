"""bcc's three forms of a histogram: log2 and linear text, and a dict."""

from __future__ import annotations

import time

from rtrace.display.log2_text import format_linear, format_log2

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

log2_text = format_log2
linear_text = format_linear


def get_json_hist(vals: Sequence[int], val_type: str, section_bucket: tuple[str, Any] | None = None) -> dict[str, Any]:
    """Return a log2 histogram as a dict.

    Parameters
    ----------
    vals
        Count per slot; slot 0 is left out, as nothing counts there.
    val_type
        What the values are.
    section_bucket
        Name and value of one more item, for the bucket that this histogram is of.

    Returns
    -------
    dict
        ``ts`` (local time), ``val_type`` and ``data``: a list of dicts of ``interval-start``, ``interval-end`` (both
        inclusive) and ``count``, up to the last that counts something.

    Examples
    --------
    >>> get_json_hist([0, 3, 6], "usecs")["data"][1]
    {'interval-start': 2, 'interval-end': 3, 'count': 6}
    """
    last = max((slot for slot, count in enumerate(vals) if count), default=0)
    data = [
        {"interval-start": 1 << slot >> 1 if slot > 1 else 0, "interval-end": (1 << slot) - 1, "count": int(vals[slot])}
        for slot in range(1, last + 1)
    ]
    shown = {"ts": time.strftime("%Y-%m-%d %H:%M:%S"), "val_type": val_type, "data": data}
    if section_bucket:
        shown[section_bucket[0]] = section_bucket[1]
    return shown
