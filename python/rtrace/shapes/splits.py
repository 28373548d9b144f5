"""What histograms are split by: how the programs make a group's key of it, and what people call that."""

from __future__ import annotations

from rtrace.shapes import record_plan

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from rtrace import _rtrace
    from rtrace.shapes.record_plan import Field, Plan
    from rtrace.trace import FieldFacts

    Formats = tuple[dict[str, Any], dict[str, Any]]

# As in ebpf/common/src/group.rs.
GROUP_LEN = 16
TASK_GROUPS = {"pid": 1, "tid": 2, "comm": 3, "cpu": 4}
START_FIELD, END_FIELD = 5, 6


class Split:
    """What histograms are split by.

    Attributes
    ----------
    by : str
        What users call it: a column of the records that are, or might be, made of the same pairs.
    column
        Type of that column, as numpy takes it.
    """

    __slots__ = ("_facts", "_how", "_segment", "_texts", "by", "column")

    def __init__(
        self,
        by: str,
        column: Any,
        how: int,
        segment: record_plan.Segment | None = None,
        texts: Sequence[str] = (),
    ) -> None:
        self.by = by
        self.column = column
        self._how = how
        self._segment = segment
        self._texts = texts
        self._facts: FieldFacts | None = None

    def apply(self, spec: _rtrace.ObjectSpec, max_groups: int) -> None:
        """Tell the programs."""
        spec.set_global("GROUP_BY", self._how)
        spec.set_max_entries("GROUPS", max_groups)
        if self._segment is not None:
            spec.set_global("GROUP_FIELD", self._segment.pack())

    def names(self, keys: Sequence[bytes]) -> list[int | str]:
        """Turn the keys of groups, each of GROUP_LEN bytes, into what people call them."""
        if self._segment is None:
            return [task_name(self.by, key) for key in keys]
        import numpy as np  # noqa: PLC0415  # not needed to attach

        from rtrace import trace_values  # noqa: PLC0415
        from rtrace.trace import FieldFacts  # noqa: PLC0415

        dtype = np.dtype(self.column)
        raw = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, GROUP_LEN)
        column = np.ascontiguousarray(raw[:, : dtype.itemsize]).view(dtype).reshape(len(raw))
        if self._facts is None:
            self._facts = record_plan.field_facts(self._texts, [self.by]).get(self.by, FieldFacts())
        return trace_values.plain(trace_values.group_keys(column, self._facts))


def task_name(by: str, key: bytes) -> int | str:
    """Turn the key of a task's group into what people call it; no numpy is imported for that."""
    if by != "comm":
        return int.from_bytes(key[:4], "little")
    from rtrace.trace_fields import exact_text  # noqa: PLC0415  # not needed to attach

    return exact_text(key)


def of_task(by: str | None) -> Split | None:
    """Split by what is known without any field: who and where; None if it is something else, or nothing."""
    how = TASK_GROUPS.get(by) if by is not None else None
    return None if by is None or how is None else Split(by, record_plan.HEADER[by][0], how)


def find_field(forms: Formats, by: str) -> tuple[int, Field]:
    """Find the field that a column of records is made of; return 0 for the start and 1 for the end, and the field.

    Raises
    ------
    ValueError
        If there is no such column; the message has near matches.
    """
    fields = dict(columns(forms))
    if by not in fields:
        import difflib  # noqa: PLC0415  # needed only when all else has failed

        known = [*TASK_GROUPS, *fields]
        near = difflib.get_close_matches(by, known, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
        message = f"`{forms[0]['name']}` and `{forms[1]['name']}` have no field {by!r} to split by: {hint}"
        raise ValueError(message)
    return fields[by]


def columns(forms: Formats) -> Iterator[tuple[str, tuple[int, Field]]]:
    """Yield the names that columns of records have: the start's fields, then those that the end alone has."""
    taken = set(record_plan.LATENCY_HEADER)
    known = {field["name"] for field in forms[0]["fields"]}
    for side, form in enumerate(forms):
        for field in record_plan.choose(form, None):
            if side and field["name"] in known:
                continue
            name = record_plan.free_name(field["name"], taken)
            taken.add(name)
            yield name, (side, field)


def of_field(by: str, forms: Formats, texts: Sequence[str], plans: tuple[Plan, Plan]) -> Split:
    """Split by a field, which is one of the start's that are carried or any of the end's.

    Raises
    ------
    ValueError
        If its values are no keys.
    """
    side, field = find_field(forms, by)
    column, offset = plans[side].columns[by]
    where = f"`{forms[side]['name']}`: {field['name']}"
    if not (is_number(field) or is_text(field)):
        message = f"{where} is {field['c_type']}, which histograms cannot be split by"
        raise ValueError(message)
    # numpy's own name of a text tells how long it may be.
    size = int(column[1:]) if is_text(field) else field["size"]
    if size > GROUP_LEN:
        cut = f", or cut it with max_text={GROUP_LEN}" if field["kind"] == "dynamic" else ""
        message = (
            f"{where} may be {size} bytes long, and histograms can be split by {GROUP_LEN} at most: choose another"
            f" field{cut}"
        )
        raise ValueError(message)
    if side == 0:
        # Text is carried without what lies behind its NUL.
        segment = record_plan.Segment(record_plan.BYTES, offset - plans[0].base, 0, size)
        return Split(by, column, START_FIELD, segment, texts)
    return Split(by, column, END_FIELD, record_plan.segment_of(field, size), texts)


def is_number(field: Field) -> bool:
    """Whether a field is a number that fits a register."""
    return field["kind"] in {"integer", "enum", "pointer", "bool"} and field["size"] in {1, 2, 4, 8}


def is_text(field: Field) -> bool:
    """Whether a field is a text, of fixed or any length."""
    return field["kind"] == "text" or (field["kind"] == "dynamic" and bool(field["text"]))
