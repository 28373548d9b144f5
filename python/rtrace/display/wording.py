"""The words and marks that every display of counts in buckets shares: losses, durations, percentiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rtrace.display.buckets import Buckets
    from rtrace.histogram import Histogram
    from rtrace.trace import Trace

MARKED_PERCENTILES = (50, 90, 99)

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_SCALES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"), (0, "ns"))
# Of numbers without a unit; smaller ones are written out.
_SIZES = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"))
_NOUNS = {"tracepoint": "event", "slots": "count"}


def format_losses(losses: Mapping[str, int]) -> str:
    """Say how many calls were lost and why.

    Parameters
    ----------
    losses
        Count by cause. A cause starts with the plural of what was lost, in words or joined by underscores.

    Returns
    -------
    str
        One line, also when nothing was lost; a cause with a count of zero is left out.

    Examples
    --------
    >>> format_losses({"starts_not_stored": 2, "returns_missed": 1})
    'lost: 3 calls (2 starts not stored, 1 return missed)'
    >>> format_losses({})
    'lost: 0 calls'
    """
    lost = sum(losses.values())
    causes = ", ".join(_counted(count, cause.replace("_", " ")) for cause, count in losses.items() if count)
    return f"lost: {_counted(lost, 'calls')}" + (f" ({causes})" if causes else "")


def observed_rows(observed: Mapping[str, int]) -> dict[str, str]:
    """Return what was observed beside what counts, as words and numbers for people."""
    return {name.replace("_", " "): f"{count:,}" for name, count in observed.items()}


def format_observed(observed: Mapping[str, int]) -> str:
    """Say what was observed beside what counts, in a line.

    Examples
    --------
    >>> format_observed({"starts": 1_000, "ends_unmatched": 2})
    'observed: 1,000 starts, 2 ends unmatched'
    """
    return f"observed: {', '.join(f'{count} {name}' for name, count in observed_rows(observed).items())}"


def circumstances(result: Histogram | Trace) -> Iterator[str]:
    """Yield lines on where and when something was measured, what of it, and what was observed beside it."""
    where = " with Linux ".join(filter(None, (result.host, result.kernel)))
    when = f"{result.started:%Y-%m-%d %H:%M:%S} UTC" if result.started else ""
    yield f"measured: {', '.join(filter(None, (where, when, f'{result.duration:.3g} s')))}"
    if result.options:
        yield f"only: {', '.join(f'{name}={value}' for name, value in result.options.items())}"
    if result.observed:
        yield format_observed(result.observed)


def noun(hist: Buckets) -> str:
    """Return what a histogram counts, in the singular."""
    return _NOUNS.get(hist.mechanism, "call")


def format_lost_of(hist: Histogram) -> str:
    """Say how much is missing from a histogram and why."""
    # The first one is behind the number, whatever the causes are called.
    return format_losses(hist.losses).replace(" call", f" {noun(hist)}", 1)


def format_time(value: float, unit: str) -> str:
    """Write a time with three digits in the unit that suits its size; without a unit, a number.

    Examples
    --------
    >>> format_time(2048, "us"), format_time(0, "us"), format_time(0.25, "ms")
    ('2.05 ms', '0', '250 µs')
    >>> format_time(4096, ""), format_time(2**20, "")
    ('4,096', '1.05 M')
    """
    if not value:
        return "0"
    if not unit:
        return next((f"{value / size:.3g} {label}" for size, label in _SIZES if value >= size), f"{value:,.0f}")
    seconds = value * _SECONDS[unit]
    # A little below its size, so that 999.9 does not round up to "1e+03" of the unit below.
    size, label = next((size, label) for size, label in _SCALES if seconds >= 0.9995 * size)
    return f"{seconds / (size or 1e-9):.3g} {label}"


def format_range(low: float, high: float, unit: str) -> str:
    """Write the half-open range of a bucket, the unit once if both ends share it.

    Examples
    --------
    >>> format_range(4, 8, "us"), format_range(512, 1024, "us"), format_range(7, 8, "")
    ('4 to 8 µs', '512 µs to 1.02 ms', '7')
    """
    if not unit and high == low + 1:
        return format_time(low, unit)
    first, last = format_time(low, unit), format_time(high, unit)
    if first.split()[1:] == last.split()[1:]:
        first = first.split()[0]
    return f"{first} to {last}"


def printable(text: str) -> str:
    """Escape what would move the cursor or break a line, as a thread names itself."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def used_slots(hist: Buckets) -> range:
    """Return the slots from the first to the last that counts something; empty for an empty histogram."""
    used = [slot for slot, count in enumerate(hist.numbers) if count]
    return range(used[0], used[-1] + 1) if used else range(0)


class Mark(NamedTuple):
    """A label such as ``"p50"`` or ``"p90 p99"`` for the bucket that contains those percentiles."""

    slot: int
    label: str
    row: int


def percentile_marks(hist: Buckets, reach: float) -> list[Mark]:
    """Return the marks of a histogram from left to right; none for an empty one.

    Parameters
    ----------
    hist
        What to mark.
    reach
        Labels less than this many buckets apart would overlap, so the later one goes to the next row.
    """
    labels: dict[int, str] = {}
    for p in MARKED_PERCENTILES if hist.total else ():
        slot = int(hist.edges.searchsorted(hist.percentile(p)[0]))
        labels[slot] = f"{labels[slot]} p{p}" if slot in labels else f"p{p}"
    marks: list[Mark] = []
    for slot, label in labels.items():
        row = marks[-1].row + 1 if marks and slot - marks[-1].slot < reach else 0
        marks.append(Mark(slot, label, row))
    return marks


def _counted(count: int, words: str) -> str:
    first, space, rest = words.partition(" ")
    return f"{count} {first.removesuffix('s') if count == 1 else first}{space}{rest}"
