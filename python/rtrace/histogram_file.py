"""The stored forms of a histogram: a plain dict that fits JSON, and one compressed ``.npz`` file.

The file holds ``metadata`` (the dict without its buckets, as JSON text), ``counts`` (uint64, shape (64,)) and, when
split, ``group_counts`` (uint64, shape (n, 64)) in the order of the groups, so that numpy alone can read it.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from rtrace.errors import TraceFormatError
from rtrace.histogram_check import SLOTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from rtrace.histogram import Histogram

# The class is handed in: its module imports this one.
_H = TypeVar("_H", bound="Histogram")

SCHEMA: Final = "rtrace.histogram"
VERSION: Final = 1

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
        _check_schema(data)
        groups = [(facts, _counts(facts["buckets"])) for facts in data["groups"]]
        return _build(cls, data, _counts(data["buckets"]), groups)
    except TraceFormatError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        msg = f"read histogram: {_cause(error)}"
        raise TraceFormatError(msg) from error


def save(hist: Histogram, path: str | os.PathLike[str]) -> None:
    """Write `hist` to `path`, under another name first so that no reader ever sees half a file."""
    metadata = {**_facts(hist), "groups": _group_facts(hist)}
    arrays = {"metadata": np.array(json.dumps(metadata)), "counts": hist.counts}
    if hist.groups:
        arrays["group_counts"] = np.stack([group.counts for group in hist.groups.values()])
    # Through a link to the file it names: replacing the link itself would leave the old file behind.
    final = Path(os.path.realpath(path))
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
    try:
        # A file object, because numpy appends ".npz" to a name; "x" so that the umask decides who may read it.
        with temporary.open("xb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(cls: type[_H], path: str | os.PathLike[str]) -> _H:
    """Read what `save` wrote; TraceFormatError that names the file if it is anything else."""
    with Path(path).open("rb") as file:
        # From here on the contents decide, and bad contents make zipfile, zlib, numpy and json raise almost anything.
        try:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                _bad("one array and not a histogram")
            metadata = json.loads(str(stored["metadata"]))
            _check_schema(metadata)
            groups = metadata["groups"]
            rows = stored["group_counts"] if groups else ()
            return _build(cls, metadata, stored["counts"], list(zip(groups, rows, strict=True)))
        except Exception as error:
            msg = f"read histogram `{os.fspath(path)}`: {_cause(error)}"
            hint = error.hint if isinstance(error, TraceFormatError) else None
            raise TraceFormatError(msg, hint=hint, path=os.fspath(path)) from error


def _facts(hist: Histogram) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **{name: getattr(hist, name) for name in _PLAIN},
        "started": hist.started.isoformat() if hist.started else None,
        "losses": dict(hist.losses),
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
        _bad("a group is there twice")
    started = facts["started"]
    return cls(
        **{name: facts[name] for name in _PLAIN},
        counts=counts,
        started=None if started is None else datetime.fromisoformat(started),
        losses=facts["losses"],
        options=facts["options"],
        groups=parts,
    )


def _buckets(hist: Histogram) -> list[dict[str, int]]:
    counts = hist.counts.tolist()
    used = max((slot + 1 for slot, count in enumerate(counts) if count), default=0)
    return [{**_bounds(slot), "count": counts[slot]} for slot in range(used)]


def _counts(buckets: Sequence[Mapping[str, int]]) -> list[int]:
    if len(buckets) > SLOTS:
        _bad(f"{len(buckets)} buckets, more than {SLOTS}")
    for slot, bucket in enumerate(buckets):
        if {**bucket, **_bounds(slot)} != bucket:
            _bad(f"bucket {slot} has the wrong bounds")
    return [bucket["count"] for bucket in buckets] + [0] * (SLOTS - len(buckets))


def _bounds(slot: int) -> dict[str, int]:
    return {"low": 1 << slot if slot else 0, "high": 2 << slot}


def _listed(value: Any) -> Any:  # JSON has no type
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _check_schema(data: Mapping[str, Any]) -> None:
    if data.get("schema") != SCHEMA:
        _bad(f"schema is {data.get('schema')!r}, not {SCHEMA!r}")
    if data["version"] != VERSION:
        msg = f"read histogram: schema version is {data['version']!r}, this rtrace reads {VERSION}"
        raise TraceFormatError(msg, hint="upgrade rtrace")


def _bad(cause: str) -> None:
    msg = f"read histogram: {cause}"
    raise TraceFormatError(msg)


def _cause(error: Exception) -> str:
    if isinstance(error, TraceFormatError):
        return str(error).partition(": ")[2]
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return f"{error or type(error).__name__}"
