"""The histogram methods of tables: counts by slot, printed in bcc's layouts."""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc import hist

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# A key whose second member is this one comes from older generators of C, which padded keys by hand.
_PADDING = "__pad_1"


class HistogramTable:
    """Tables whose keys are slots, or structs of a bucket and a slot, and whose leaves are counts."""

    Key: Any

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
        """
        self._print(hist.log2_text, val_type, section_header, section_print_fn, bucket_fn, strip_leading_zero,
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
        self._print(hist.linear_text, val_type, section_header, section_print_fn, bucket_fn, strip_leading_zero,
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
        for bucket, counts in self.sections(bucket_fn, bucket_sort_fn):
            section = None
            if bucket is not _WHOLE:
                section = (section_header, section_print_fn(bucket) if section_print_fn else bucket)
            print(hist.get_json_hist(counts, val_type, section))  # noqa: T201  # what the method is for

    def _print(  # noqa: PLR0913, PLR0917
        self,
        layout: Callable[..., str],
        val_type: str,
        section_header: str,
        section_print_fn: Callable[[Any], Any] | None,
        bucket_fn: Callable[[Any], Any] | None,
        strip_leading_zero: bool | None,  # noqa: FBT001
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None,
    ) -> None:
        for bucket, counts in self.sections(bucket_fn, bucket_sort_fn):
            if bucket is not _WHOLE:
                shown = section_print_fn(bucket) if section_print_fn else repr(bucket)
                print(f"\n{section_header} = {shown}")  # noqa: T201
            text = layout(counts, val_type, strip_leading_zero=bool(strip_leading_zero))
            if text:
                print(text)  # noqa: T201

    def sections(
        self,
        bucket_fn: Callable[[Any], Any] | None = None,
        bucket_sort_fn: Callable[[list[Any]], list[Any]] | None = None,
    ) -> list[tuple[Any, list[int]]]:
        """Return the counts by slot of each bucket, in the order to print.

        The parameters are those of :meth:`print_log2_hist`; a histogram whose keys are slots is one bucket of no name.
        """
        if not issubclass(self.Key, ct.Structure):
            counts: list[int] = []
            for key, leaf in self.items():
                _count(counts, key.value, leaf.value)
            return [(_WHOLE, counts)]
        members = [field[0] for field in self.Key._fields_]
        slot = members[2 if members[1] == _PADDING and len(members) == 3 else 1]  # noqa: PLR2004
        sections: dict[Any, list[int]] = {}
        for key, leaf in self.items():
            bucket = getattr(key, members[0])
            if bucket_fn is not None:
                bucket = bucket_fn(bucket)
            _count(sections.setdefault(bucket, []), getattr(key, slot), leaf.value)
        buckets = list(sections)
        if bucket_sort_fn is not None:
            buckets = bucket_sort_fn(buckets)
        return [(bucket, sections[bucket]) for bucket in buckets]


_WHOLE = object()


def _count(counts: list[int], slot: int, count: int) -> None:
    """Set the count of a slot, making room for it."""
    if slot >= len(counts):
        counts.extend([0] * (slot + 1 - len(counts)))
    counts[slot] = count
