"""The stored forms of a trace: one compressed ``.npz`` file, or a ``.parquet`` file.

The ``.npz`` holds ``metadata`` (the facts, as JSON text) and ``records`` (the structured array as it is), so that numpy
alone can read it.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rtrace import npz_file
from rtrace.trace_fields import FieldFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from rtrace.trace import Trace

# The class is handed in: its module imports this one.
_T = TypeVar("_T", bound="Trace")

FORM: Final = npz_file.Form(noun="trace", schema="rtrace.trace", version=1)
PARQUET: Final = ".parquet"

_PLAIN = ("target", "tool", "host", "kernel", "duration", "clock_offset_ns", "lost_per_cpu", "losses", "observed")


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write `trace` in the form that the name asks for, under another name first."""
    if os.fspath(path).endswith(PARQUET):
        from rtrace import trace_parquet  # noqa: PLC0415  # imports pyarrow

        trace_parquet.save(trace, path)
    else:
        npz_file.save(path, facts(trace), {"records": trace.records})


def load(cls: type[_T], path: str | os.PathLike[str]) -> _T:
    """Read what `save` wrote; TraceFormatError that names the file if it is anything else."""
    if os.fspath(path).endswith(PARQUET):
        from rtrace import trace_parquet  # noqa: PLC0415  # imports pyarrow

        return trace_parquet.load(cls, path)
    with npz_file.load(FORM, path) as (metadata, stored):
        return build(cls, metadata, stored["records"])


def facts(trace: Trace) -> dict[str, Any]:
    """Return everything but the records as plain objects that fit JSON."""
    return {
        "schema": FORM.schema,
        "version": FORM.version,
        **{name: getattr(trace, name) for name in _PLAIN},
        "lost_per_cpu": list(trace.lost_per_cpu),
        "losses": dict(trace.losses),
        "observed": dict(trace.observed),
        "started": trace.started.isoformat() if trace.started else None,
        "options": {name: _listed(value) for name, value in trace.options.items()},
        "fields": {name: item.to_dict() for name, item in trace.fields.items()},
        "events": len(trace),
        "lost": trace.lost,
    }


def build(cls: type[_T], metadata: Mapping[str, Any], records: NDArray[np.void]) -> _T:
    """Put records and facts together again."""
    started = metadata["started"]
    if metadata["events"] != len(records):
        FORM.refuse(f"{len(records)} records of {metadata['events']}")
    return cls(
        records=records,
        **{name: metadata[name] for name in _PLAIN},
        started=None if started is None else datetime.fromisoformat(started),
        options=metadata["options"],
        fields={name: FieldFacts.from_dict(item) for name, item in metadata["fields"].items()},
    )


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
