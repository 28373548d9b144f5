"""The stored forms of a histogram: a plain dict that fits JSON, and one compressed ``.npz`` file.

The file holds ``metadata`` (the dict without its buckets, as JSON text), ``counts`` (uint64, shape (64,)) and, when
split, ``group_counts`` (uint64, shape (n, 64)) in the order of the groups, so that numpy alone can read it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from rtrace import npz_file
from rtrace.errors import TraceFormatError
from rtrace.histogram_check import SLOTS

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from rtrace.histogram import Histogram

# The class is handed in: its module imports this one.
_H = TypeVar("_H", bound="Histogram")

FORM: Final = npz_file.Form(noun="histogram", schema="rtrace.histogram", version=1)

_PLAIN = ("target", "unit", "tool", "mechanism", "boundary", "host", "kernel", "duration", "sum_ns", "nested", "by")


def to_dict(hist: Histogram) -> dict[str, Any]:
    """Return what ``Histogram.to_dict`` promises."""
    return {
        **_facts(hist),
        "buckets": _buckets(hist),
        "groups": [{**facts, "buckets": _buckets(hist.groups[facts["key"]])} for facts in _group_facts(hist)],
    }


def from_dict(cls: type[_H], data: Mapping[str, Any]) -> _H:
    """Build the histogram that `data` describes; TraceFormatError if it describes none."""
    try:
        FORM.check(data)
        groups = [(facts, _counts(facts["buckets"])) for facts in data["groups"]]
        return _build(cls, data, _counts(data["buckets"]), groups)
    except TraceFormatError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        msg = f"read histogram: {npz_file.cause_of(error)}"
        raise TraceFormatError(msg) from error


def save(hist: Histogram, path: str | os.PathLike[str]) -> None:
    """Write `hist` to `path`, under another name first so that no reader ever sees half a file."""
    arrays = {"counts": hist.counts}
    if hist.groups:
        arrays["group_counts"] = np.stack([group.counts for group in hist.groups.values()])
    npz_file.save(path, {**_facts(hist), "groups": _group_facts(hist)}, arrays)


def load(cls: type[_H], path: str | os.PathLike[str]) -> _H:
    """Read what `save` wrote; TraceFormatError that names the file if it is anything else."""
    with npz_file.load(FORM, path) as (metadata, stored):
        groups = metadata["groups"]
        rows = stored["group_counts"] if groups else ()
        return _build(cls, metadata, stored["counts"], list(zip(groups, rows, strict=True)))


def _facts(hist: Histogram) -> dict[str, Any]:
    return {
        "schema": FORM.schema,
        "version": FORM.version,
        **{name: getattr(hist, name) for name in _PLAIN},
        "started": hist.started.isoformat() if hist.started else None,
        "losses": dict(hist.losses),
        "observed": dict(hist.observed),
        "options": {name: _listed(value) for name, value in hist.options.items()},
        "total": hist.total,
        "mean": hist.mean if hist.total else None,
        "lost": hist.lost,
    }


def _group_facts(hist: Histogram) -> list[dict[str, Any]]:
    return [{"key": key, "sum_ns": group.sum_ns} for key, group in hist.groups.items()]


def _build(
    cls: type[_H], facts: Mapping[str, Any], counts: ArrayLike, groups: Sequence[tuple[Mapping[str, Any], ArrayLike]]
) -> _H:
    parts = {
        part["key"]: cls(counts=row, sum_ns=part["sum_ns"], unit=facts["unit"], target=facts["target"])
        for part, row in groups
    }
    if len(parts) != len(groups):
        FORM.refuse("a group is there twice")
    started = facts["started"]
    return cls(
        **{name: facts[name] for name in _PLAIN},
        counts=counts,
        started=None if started is None else datetime.fromisoformat(started),
        losses=facts["losses"],
        # Files of earlier versions have none.
        observed=facts.get("observed"),
        options=facts["options"],
        groups=parts,
    )


def _buckets(hist: Histogram) -> list[dict[str, int]]:
    used = max((slot + 1 for slot, count in enumerate(hist.numbers) if count), default=0)
    return [{**_bounds(slot), "count": hist.numbers[slot]} for slot in range(used)]


def _counts(buckets: Sequence[Mapping[str, int]]) -> list[int]:
    if len(buckets) > SLOTS:
        FORM.refuse(f"{len(buckets)} buckets, more than {SLOTS}")
    for slot, bucket in enumerate(buckets):
        if {**bucket, **_bounds(slot)} != bucket:
            FORM.refuse(f"bucket {slot} has the wrong bounds")
    return [bucket["count"] for bucket in buckets] + [0] * (SLOTS - len(buckets))


def _bounds(slot: int) -> dict[str, int]:
    return {"low": 1 << slot if slot else 0, "high": 2 << slot}


def _listed(value: Any) -> Any:  # JSON has no type
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
