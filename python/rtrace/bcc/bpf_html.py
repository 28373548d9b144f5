"""A BPF object as HTML for notebooks: its programs and what they are attached to, its maps, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtrace.bcc.tables.make import CLASSES
from rtrace.display import html_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF

# Queues and stacks, which have no class in `CLASSES`.
_OTHERS = {22: "QueueStack (queue)", 23: "QueueStack (stack)"}
_COUNTERS = "__lost"


def bpf_html(bpf: BPF, spec: _rtrace.ObjectSpec) -> str:
    """Return `bpf` as one HTML element; every text from outside is escaped."""
    programs = spec.programs
    # The counters of what buffers lose are rtrace's own.
    maps = [name for name in sorted(spec.maps) if not name.endswith(_COUNTERS)]
    what = f": {_counted(len(programs), 'program')}, {_counted(len(maps), 'map')}"
    state = "; closed: nothing is attached, and the maps are gone" if bpf.closed else ""
    name = "BPF" if spec.name == "<text>" else f"BPF {spec.name}"
    parts = [html_page.line(name, what + state)]
    if not bpf.closed:
        parts += _missing(bpf)
    if programs:
        heads = ["program", "attached to"]
        parts.append(html_page.table(heads, _programs(bpf, programs), [False] * len(heads)))
    if maps:
        heads = ["map", "table", "key", "value or event", "entries, at most"]
        right = [False, False, False, False, True]
        parts.append(html_page.table(heads, [_map(bpf, spec, name) for name in maps], right))
    return html_page.element(parts)


def _programs(bpf: BPF, programs: Iterable[str]) -> list[list[str]]:
    places: dict[str, list[str]] = {}
    for link in bpf.loaded.links.all():
        places.setdefault(link.program, []).append(f"{link.kind} {link.target}")
    return [[name, ", ".join(places.get(name, ["nothing yet"]))] for name in sorted(programs)]


def _map(bpf: BPF, spec: _rtrace.ObjectSpec, name: str) -> list[str]:
    types = spec.types(name)
    # What a map is, only the kernel's own one tells.
    kind = "" if bpf.closed else _class(bpf.native.map(name).map_type)
    if name in spec.histograms:
        kind = f"{kind}, histogram".removeprefix(", ")
    return [name, kind, _type(types["key"]), _type(types["value"] or types["event"]), f"{spec.maps[name]:,}"]


def _class(map_type: int) -> str:
    return CLASSES[map_type].__name__ if map_type in CLASSES else _OTHERS.get(map_type, f"map type {map_type}")


def _missing(bpf: BPF) -> list[str]:
    """Return what was lost, in plain sight."""
    found = []
    missed = bpf.missed()
    if missed:
        found.append(html_page.alert(f"lost: {_counted(missed, 'call')} that probes missed"))
    for name, lost in bpf.readers.losses().items():
        found.append(html_page.alert(f"lost: {_counted(lost, 'event')} of {name} (the buffer was full)"))
    return found


def _type(described: dict[str, Any] | None) -> str:
    """Write a type in few characters, as C has it."""
    if described is None:
        return ""
    kind = described["kind"]
    if kind == "array":
        return f"{_type(described['element'])}[{described['count']}]"
    if kind == "int" and not (described["char"] or described["bool"]):
        return f"{'s' if described['signed'] else 'u'}{8 * described['size']}"
    if kind in {"struct", "union"}:
        members = ", ".join(member["name"] or "..." for member in described["members"])
        return " ".join(filter(None, [kind, described["name"], f"{{{members}}}"]))
    return f"enum {described['name']}" if kind == "enum" else str(described["name"] or kind)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
