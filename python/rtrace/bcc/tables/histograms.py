"""The histogram methods of tables: counts by slot, printed in bcc's layouts."""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc import ctypes_types, hist
from rtrace.bcc.names import text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# A key whose second member is this one comes from older generators of C, which padded keys by hand.
_PADDING = "__pad_1"
# Slots of powers of two of numbers of 64 bits.
_LOG2 = 65
# A linear histogram has so many slots, or as many as its map has room for; bcc has 1,025.
_FEWEST_LINEAR = 1 << 16


class HistogramTable:
    """Tables whose keys are slots, or structs of a bucket and a slot, and whose leaves are counts.

    Of a leaf for every CPU it is the sum that counts.
    """

    Key: Any
    max_entries: int

    @property
    def name(self) -> str:
        """Name of the map."""
        raise NotImplementedError

    def items(self) -> Any:
        """Return keys and leaves."""
        raise NotImplementedError

    def print_log2_hist(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        val_type: str = "value",
        section_header: str = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        strip_leading_zero: bool | None = None,  # noqa: FBT001
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None = None,
    ) -> None:
        """Print the counts as log2 histograms, one for each bucket.

        Parameters
        ----------
        val_type
            What the values are, usually the unit: ``"usecs"``.
        section_header
            What the buckets are.
        section_print_fn
            Makes the text of a bucket; its repr without.
        bucket_fn
            Makes what entries are grouped by from the key's first member.
        strip_leading_zero
            Leave out the rows before the first one that counts something.
        bucket_sort_fn
            Takes the list of buckets and returns it in the order to print.

        Raises
        ------
        TypeError, ValueError
            If keys or leaves are none of a histogram's, or a slot is beyond it.
        """
        self._print(hist.log2_text, _LOG2, val_type, section_header, section_print_fn, bucket_fn, strip_leading_zero,
                    bucket_sort_fn)  # fmt: skip

    def print_linear_hist(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        val_type: str = "value",
        section_header: str = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        strip_leading_zero: bool | None = None,  # noqa: FBT001
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None = None,
    ) -> None:
        """Print the counts as linear histograms of as many slots as there are, one for each bucket.

        The parameters are those of :meth:`print_log2_hist`.
        """
        self._print(hist.linear_text, None, val_type, section_header, section_print_fn, bucket_fn, strip_leading_zero,
                    bucket_sort_fn)  # fmt: skip

    def print_json_hist(
        self,
        val_type: str = "value",
        section_header: str = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None = None,
    ) -> None:
        """Print log2 histograms as dicts of intervals and counts, one line for each bucket.

        The parameters are those of :meth:`print_log2_hist`; :func:`rtrace.bcc.table.get_json_hist` describes the
        dict.
        """
        for bucket, counts in self.sections(bucket_fn, bucket_sort_fn, _LOG2):
            section = None
            if bucket is not _WHOLE:
                section = (section_header, section_print_fn(bucket) if section_print_fn else bucket)
            print(hist.get_json_hist(counts, val_type, section))  # noqa: T201  # what the method is for

    def _print(  # noqa: PLR0913, PLR0917
        self,
        layout: Callable[..., str],
        slots: int | None,
        val_type: str,
        section_header: str,
        section_print_fn: Callable[[Any], Any] | None,
        bucket_fn: Callable[[Any], Any] | None,
        strip_leading_zero: bool | None,  # noqa: FBT001
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None,
    ) -> None:
        for bucket, counts in self.sections(bucket_fn, bucket_sort_fn, slots):
            if bucket is not _WHOLE:
                shown = section_print_fn(bucket) if section_print_fn else repr(bucket)
                print(f"\n{_text(section_header)} = {shown}")  # noqa: T201
            rows = layout(counts, _text(val_type), strip_leading_zero=bool(strip_leading_zero))
            if rows:
                print(rows)  # noqa: T201

    def sections(
        self,
        bucket_fn: Callable[[Any], Any] | None = None,
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None = None,
        slots: int | None = None,
    ) -> list[tuple[Any, list[int]]]:
        """Return the counts by slot of each bucket, in the order to print.

        The parameters are those of :meth:`print_log2_hist`, and the number of `slots` that there may be; without, as
        many as a linear histogram has. A histogram whose keys are slots is one bucket of no name.
        """
        most = max(_FEWEST_LINEAR, self.max_entries) if slots is None else slots
        sections: dict[Any, list[int]] = {}
        for bucket, slot, count in self._counted(bucket_fn):
            _set(sections.setdefault(bucket, []), self._slot(slot, most), count)
        if not issubclass(self.Key, ct.Structure):
            return [(_WHOLE, sections.get(_WHOLE, []))]
        buckets = list(sections)
        if bucket_sort_fn is not None:
            buckets = bucket_sort_fn(buckets)
        return [(bucket, sections[bucket]) for bucket in buckets]

    def _counted(self, bucket_fn: Callable[[Any], Any] | None) -> Iterator[tuple[Any, Any, int]]:
        """Yield the bucket, the slot and the count of each entry."""
        if not issubclass(self.Key, ct.Structure):
            for key, leaf in self.items():
                yield _WHOLE, getattr(key, "value", key), self._count_of(leaf)
            return
        members = [name for name, _ in ctypes_types.own(self.Key)]
        if len(members) < 2:  # noqa: PLR2004  # a bucket and a slot
            message = f"print `{self.name}` as a histogram: {self.Key.__name__} has no bucket and slot"
            raise TypeError(message)
        slot = members[2 if members[1] == _PADDING and len(members) == 3 else 1]  # noqa: PLR2004
        for key, leaf in self.items():
            bucket = getattr(key, members[0])
            if bucket_fn is not None:
                bucket = bucket_fn(bucket)
            try:
                hash(bucket)
            except TypeError as error:
                message = (
                    f"print `{self.name}` as a histogram: {type(bucket).__name__} is no bucket, as it has no hash: "
                    "give a bucket_fn that makes a number, a text or a tuple of it"
                )
                raise TypeError(message) from error
            yield bucket, getattr(key, slot), self._count_of(leaf)

    def _slot(self, slot: Any, most: int) -> int:
        if not isinstance(slot, int):
            message = f"print `{self.name}` as a histogram: slots are numbers, not {type(slot).__name__}"
            raise TypeError(message)
        if not 0 <= slot < most:
            message = f"print `{self.name}` as a histogram: no slot {slot}, they are 0 to {most - 1}"
            raise ValueError(message)
        return slot

    def _count_of(self, leaf: Any) -> int:
        """Return what a leaf counts."""
        count = getattr(leaf, "value", leaf)
        if not isinstance(count, int):
            message = f"print `{self.name}` as a histogram: counts are numbers, not {type(leaf).__name__}"
            raise TypeError(message)
        return count


_WHOLE = object()


def _set(counts: list[int], slot: int, count: int) -> None:
    """Set the count of a slot, making room for it."""
    if slot >= len(counts):
        counts.extend([0] * (slot + 1 - len(counts)))
    counts[slot] = count


def _text(given: Any) -> str:
    """Return what is printed of a word, which bcc takes of any type."""
    return text(given) if isinstance(given, bytes) else str(given)
