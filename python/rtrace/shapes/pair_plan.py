"""How two tracepoints make pairs: the key that joins them, and what is carried from the start to the end."""

from __future__ import annotations

import struct

from rtrace.shapes import block_requests, record_plan, splits

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rtrace import _rtrace
    from rtrace.shapes.record_plan import Field, Plan
    from rtrace.shapes.splits import Formats, Split

# As in ebpf/common/src/tracepoint_latency.rs.
KEY_PARTS = 4
# What a part of a key is (module `source` of ebpf/common/src/entry.rs): a field, or who and where it happens.
FIELD_PART = 1
TASK_PARTS = {"tid": 3, "cpu": 4}


def plan(
    forms: Formats,
    texts: Sequence[str],
    by: str | None,
    fields: tuple[Sequence[str] | None, Sequence[str] | None],
    max_text: int,
) -> tuple[Split | None, tuple[Plan, Plan]]:
    """Lay out what is carried and recorded, and find what histograms are split by among it.

    The field that they are split by is there whether it was asked for or not.

    Raises
    ------
    ValueError
        If there is no such field, if they need too much room, or if the values of one are no keys of groups.
    """
    chosen = choose(forms, fields)
    split = splits.of_task(by)
    if by is None or split is not None:
        return split, lay_out(chosen, max_text)
    side, field = splits.find_field(forms, by)
    if all(one["name"] != field["name"] for one in chosen[side]):
        chosen[side].append(field)
    plans = lay_out(chosen, max_text)
    return splits.of_field(by, forms, texts, plans), plans


def choose(
    forms: Formats, fields: tuple[Sequence[str] | None, Sequence[str] | None]
) -> tuple[list[Field], list[Field]]:
    """Choose what is recorded of the start and of the end."""
    first = record_plan.choose(forms[0], fields[0])
    last = record_plan.choose(forms[1], fields[1], "end_fields")
    if fields[0] is None:
        first = [field for field in first if field["kind"] != "dynamic"]
    if fields[1] is None:
        known = {field["name"] for field in forms[0]["fields"]}
        last = [field for field in last if field["kind"] != "dynamic" and field["name"] not in known]
    return first, last


def lay_out(chosen: tuple[Sequence[Field], Sequence[Field]], max_text: int) -> tuple[Plan, Plan]:
    """Lay the record out: the header, what is carried from the start, the end's own fields."""
    first, last = chosen
    start = record_plan.Plan(
        first,
        max_text=max_text,
        max_array=max_text,
        before=record_plan.LATENCY_HEADER,
        base=record_plan.LATENCY_HEADER_BYTES,
        limit=record_plan.MAX_CARRIED,
    )
    end = record_plan.Plan(last, max_text=max_text, max_array=max_text, before=start.columns, base=start.record_bytes)
    return start, end


def apply(spec: _rtrace.ObjectSpec, plans: tuple[Plan, Plan]) -> None:
    """Tell the programs what they carry and record."""
    start, end = plans
    spec.set_global("START_SEGMENTS", start.table())
    spec.set_global("END_SEGMENTS", end.table())
    spec.set_global("CARRIED_BYTES", end.base - start.base)
    spec.set_global("RECORD_BYTES", end.record_bytes)


def check_requests(start: str, end: str) -> None:
    """Refuse the key of requests for other tracepoints than those of requests."""
    if (start, end) != block_requests.TARGETS:
        message = f"key {block_requests.KEY!r} is for {' and '.join(block_requests.TARGETS)}, not {start} and {end}"
        raise ValueError(message)


def set_key(spec: _rtrace.ObjectSpec, names: Sequence[str], forms: Formats) -> None:
    """Tell the programs what makes the key."""
    if not 0 < len(names) <= KEY_PARTS:
        message = f"a key has 1 to {KEY_PARTS} fields, not {len(names)}"
        raise ValueError(message)
    packed: tuple[list[bytes], list[bytes]] = ([], [])
    for name in names:
        if name in TASK_PARTS and not all(has_field(form, name) for form in forms):
            pair = [{"offset": 0, "size": 0, "signed": False}] * 2
            source = TASK_PARTS[name]
        else:
            pair = [key_field(form, name) for form in forms]
            source = FIELD_PART
        # Bits are compared: of the same size, whether they are signed does not matter.
        widened = pair[0]["size"] != pair[1]["size"]
        for parts, field in zip(packed, pair, strict=True):
            parts.append(struct.pack("=I4B", field["offset"], field["size"], field["signed"] and widened, source, 0))
    for variable, parts in zip(("START_KEY", "END_KEY"), packed, strict=True):
        spec.set_global(variable, b"".join(parts).ljust(KEY_PARTS * 8, b"\0"))


def has_field(form: dict[str, Any], name: str) -> bool:
    """Whether a tracepoint has a field of that name."""
    return any(field["name"] == name for field in form["fields"])


def key_field(form: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field of a key, which must be an integer."""
    (field,) = record_plan.choose(form, [name])
    if not splits.is_number(field):
        message = f"`{form['name']}`: {field['name']} is {field['c_type']}, which cannot be part of a key"
        raise ValueError(message)
    return field
