"""A histogram as a pandas data frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]

    from rtrace.histogram import Histogram


def histogram_frame(hist: Histogram) -> pd.DataFrame:
    """Return what ``Histogram.to_pandas`` promises."""
    try:
        import pandas as pd  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        msg = "convert histogram to a data frame: pandas is not installed (pip install pandas)"
        raise ImportError(msg, name="pandas") from error
    used = int(np.max(hist.counts.nonzero()[0], initial=-1)) + 1
    parts = list(hist.groups.values()) if hist.by is not None else [hist]
    columns: dict[str, object] = {}
    if hist.by is not None:
        columns[hist.by] = [key for key in hist.groups for _ in range(used)]
    columns["low"] = np.tile(hist.edges[:used], len(parts))
    columns["high"] = np.tile(hist.edges[1 : used + 1], len(parts))
    columns["count"] = np.concatenate([np.empty(0, np.uint64), *(part.counts[:used] for part in parts)])
    return pd.DataFrame(columns)
