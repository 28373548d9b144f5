"""Which bytes of a tracepoint's entry go into a record, and how numpy reads them there.

Made from the tracepoint's own ``format`` when the object is loaded; the programs get it as a table of segments
(``ebpf/common/src/entry.rs``).
"""

from __future__ import annotations

import struct

from rtrace import option_checks

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from typing import Any

    import numpy as np

    Field = dict[str, Any]

# As in ebpf/common/src/entry.rs and tracepoint_events.rs.
SEGMENTS = 24
MAX_PAYLOAD = 2048
# The start of an entry that the kernel keeps for itself (tp_prog_is_valid_access in kernel/trace/bpf_trace.c).
HIDDEN = 8
BYTES, DYNAMIC_TEXT, DYNAMIC_BYTES, RELATIVE_TEXT, RELATIVE_BYTES, TEXT = range(1, 7)

# What every record starts with: struct Header, its padding left out.
HEADER = {"ts_ns": ("=u8", 0), "pid": ("=u4", 8), "tid": ("=u4", 12), "comm": ("S16", 16), "cpu": ("=u4", 32)}
HEADER_BYTES = 40
# Struct LatencyHeader of tracepoint_latency.rs goes on with the latency.
LATENCY_HEADER = {**HEADER, "latency_ns": ("=u8", 40)}
LATENCY_HEADER_BYTES = 48
MAX_CARRIED = 128


class Segment:
    """Bytes of an entry that are copied in one piece."""

    __slots__ = ("kind", "size", "source", "to")

    def __init__(self, kind: int, source: int, to: int, size: int) -> None:
        self.kind = kind
        self.source = source
        self.to = to
        self.size = size

    def pack(self) -> bytes:
        """Return the segment as the programs read it."""
        return struct.pack("=4H", self.kind, self.source, self.to, self.size)


class Plan:
    """The layout of a record: what stands `before`, and from `base` on, the fields.

    Attributes
    ----------
    segments : list of Segment
        What the program copies, in this order.
    columns : dict
        Name of each column: what numpy takes for its type, and its offset in the record.
    record_bytes : int
        Length of a record, header included.
    """

    __slots__ = ("base", "columns", "record_bytes", "segments")

    def __init__(  # noqa: PLR0913  # one caller for each shape
        self,
        fields: Sequence[Field],
        *,
        max_text: int,
        max_array: int,
        before: Mapping[str, tuple[Any, int]] = HEADER,
        base: int = HEADER_BYTES,
        limit: int = MAX_PAYLOAD,
    ) -> None:
        self.columns: dict[str, tuple[Any, int]] = dict(before)
        self.base = base
        self.segments: list[Segment] = []
        end = self._place_fixed([field for field in fields if field["kind"] != "dynamic"])
        for field in fields:
            if field["kind"] == "dynamic":
                end = self._place_dynamic(field, end, max_text, max_array)
        self.record_bytes = base + aligned(end)
        if end > limit or len(self.segments) > SEGMENTS:
            message = (
                f"these {len(fields)} fields need {end} bytes in {len(self.segments)} pieces; a record has room for "
                f"{limit} in {SEGMENTS}: choose fewer with fields=, or smaller ones with max_text="
            )
            raise ValueError(message)

    def _place_fixed(self, fields: Iterable[Field]) -> int:
        """Give fields that have a fixed place in the entry the same distances in the record."""
        end = 0
        run: Segment | None = None
        texts = []
        for field in sorted(fields, key=lambda field: int(field["offset"])):
            source, size = field["offset"], field["size"]
            # A gap of a word is cheaper to copy than to skip.
            if run is None or source > run.source + run.size + 8:
                # The distance from a multiple of 8 stays, so that numbers stay aligned.
                run = Segment(BYTES, source, aligned(end) + source % 8, size)
                self.segments.append(run)
            run.size = max(run.size, source + size - run.source)
            to = run.to + source - run.source
            end = max(end, run.to + run.size)
            self.columns[self._column(field)] = (numpy_type(field), self.base + to)
            if field["kind"] == "text":
                texts.append(Segment(TEXT, source, to, size))
        # Text is copied again, without what lies behind its NUL.
        self.segments += texts
        return end

    def _place_dynamic(self, field: Field, end: int, max_text: int, max_array: int) -> int:
        """Give a field of any length a place of fixed length."""
        to = aligned(end)
        name = self._column(field)
        if field["text"]:
            kind = RELATIVE_TEXT if field["relative"] else DYNAMIC_TEXT
            self.columns[name] = (f"S{max_text}", self.base + to)
            self.segments.append(Segment(kind, field["offset"], to, max_text))
            return to + max_text
        kind = RELATIVE_BYTES if field["relative"] else DYNAMIC_BYTES
        element = field["element_size"] if field["element_size"] in {1, 2, 4, 8} else 1
        count = max(1, max_array // element)
        letter = "i" if field["signed"] and field["element_size"] else "u"
        self.columns[name] = ((f"={letter}{element}", (count,)), self.base + to)
        # How many bytes there were, which may be more than have room.
        self.columns[free_name(f"{name}_bytes", self.columns)] = ("=u4", self.base + to + count * element)
        self.segments.append(Segment(kind, field["offset"], to, count * element))
        return to + count * element + 4

    def _column(self, field: Field) -> str:
        """Name a field's column; a field called like one of the header's gets an underscore."""
        return free_name(field["name"], self.columns)

    def table(self) -> bytes:
        """Return the segments as the programs read them."""
        return b"".join(segment.pack() for segment in self.segments).ljust(SEGMENTS * 8, b"\0")

    def dtype(self) -> np.dtype[np.void]:
        """Return the numpy dtype of a record."""
        import numpy as np  # noqa: PLC0415  # not needed to attach

        names = list(self.columns)
        formats = [self.columns[name][0] for name in names]
        offsets = [self.columns[name][1] for name in names]
        made: np.dtype[np.void] = np.dtype(
            {"names": names, "formats": formats, "offsets": offsets, "itemsize": self.record_bytes}
        )
        return made


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken, with as many underscores as that needs."""
    while name in taken:
        name += "_"
    return name


def segment_of(field: Field, size: int) -> Segment:
    """Return the segment that copies the number or text of one field to the start of somewhere."""
    kind = BYTES
    if field["kind"] == "text":
        kind = TEXT
    elif field["kind"] == "dynamic":
        kind = RELATIVE_TEXT if field["relative"] else DYNAMIC_TEXT
    return Segment(kind, field["offset"], 0, size)


def aligned(size: int) -> int:
    """Round up to a multiple of 8."""
    return (size + 7) // 8 * 8


def numpy_type(field: Field) -> Any:
    """Return what numpy takes for a field that has a fixed place."""
    size = field["size"]
    letter = "i" if field["signed"] else "u"
    kind = field["kind"]
    if kind == "text":
        return f"S{size}"
    if kind == "array":
        return (f"={letter}{field['element_size']}", (field["count"],))
    if kind in {"integer", "enum"} and size in {1, 2, 4, 8}:
        return f"={letter}{size}"
    if kind in {"bool", "pointer"} and size in {1, 2, 4, 8}:
        return f"=u{size}"
    return f"V{size}"


def choose(
    format: dict[str, Any],  # noqa: A002  # the kernel's word
    names: str | Sequence[str] | None,
    option: str = "fields",
) -> list[Field]:
    """Return the chosen fields of a format, or all that are the tracepoint's own.

    Raises
    ------
    ValueError
        If the tracepoint has no such field; the message has near matches.
    """
    fields = {field["name"]: field for field in format["fields"]}
    if names is None:
        return [field for field in fields.values() if not field["common"]]
    names = option_checks.names(option, names)
    unknown = [name for name in names if name not in fields]
    if unknown:
        import difflib  # noqa: PLC0415  # needed only when all else has failed

        near = difflib.get_close_matches(unknown[0], fields, n=3)
        known = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(fields)}"
        message = f"`{format['name']}` has no field {unknown[0]!r}: {known}"
        raise ValueError(message)
    hidden = [name for name in names if fields[name]["offset"] < HIDDEN]
    if hidden:
        message = f"`{format['name']}`: the kernel hides {hidden[0]} from programs; every record has pid, tid and cpu"
        raise ValueError(message)
    return [fields[name] for name in dict.fromkeys(names)]


def field_facts(texts: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Turn what the print formats tell of fields into facts of a trace's columns."""
    from rtrace.trace import FieldFacts  # noqa: PLC0415  # not needed to attach
    from rtrace.tracefs import parse_with_enumerators  # noqa: PLC0415  # not needed to attach

    found: dict[str, dict[str, Any]] = {name: {"unit": "ns"} for name in names if name.endswith("_ns")}
    for one in map(parse_with_enumerators, texts):
        for name, hint in one["hints"].items():
            found.setdefault(name, {})["format"] = {"hexadecimal": "hex", "octal": "oct", "device": "dev"}[hint]
        for table in one["tables"]:
            # A table of some bits of a field names those bits, not the field's values.
            if table["shift"] == 0 and table["mask"] is None:
                kind = "flags" if table["kind"] == "flags" else "symbols"
                facts = found.setdefault(table["field"], {})
                facts.pop("flags", None)
                facts[kind] = dict(reversed([*table["values"]]))
    return {name: FieldFacts(**facts) for name, facts in found.items() if name in names}
