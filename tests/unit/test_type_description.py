"""What Python is told of the types of maps, in objects that clang makes of C."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrace import ObjectSpec
from rtrace.errors import LoadError, RtraceError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="no clang")

SOURCE = """
#define SEC(name) __attribute__((section(name), used))
#define MAP(name, number, K, V) struct { \\
    int (*type)[number]; int (*max_entries)[16]; K *key; V *value; } name SEC(".maps")
typedef unsigned int u32;
typedef unsigned long long u64;
enum colour { RED, GREEN = 7, BLUE = -3 };
enum state { IDLE, BUSY };
union number { int i; float f; double d; unsigned char bytes[8]; };
struct node { struct node *next; struct undefined *other; void *nothing; const char *text; u64 **deep; };
typedef struct { signed char low; unsigned char high; } pair_t;
struct event {
    u32 pid;
    volatile char comm[16];
    _Bool on;
    pair_t pairs[2][3];
    enum colour colour;
    union number number;
    struct { int inner; union { short s; long l; }; };
    u32 three: 3, : 5, seven: 7;
    u64 forty: 40;
    __int128 big;
    struct node node;
    int (*function)(int);
    unsigned short rest[];
};
MAP(plain, 1, u32, u64);
MAP(structured, 1, struct node, struct event);
MAP(states, 1, enum colour, enum state);
MAP(stream__map, 27, u32, u32);
struct { int (*type)[4]; int (*key_size)[4]; int (*value_size)[4]; int (*max_entries)[0]; } events__map SEC(".maps");
struct { int (*type)[22]; int (*max_entries)[8]; pair_t *value; } queue SEC(".maps");
int send(void *data) {
    static struct hidden *__rtrace_event_events __attribute__((section(".rtrace.events"), used));
    { static struct event *__rtrace_event_events __attribute__((section(".rtrace.events"), used)); }
    { static u32 *__rtrace_event_events __attribute__((section(".rtrace.events"), used)); }
    return 0;
}
pair_t *__rtrace_event_structured;
int __rtrace_event_plain;
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("types")
    source, target = folder / "types.c", folder / "types.o"
    source.write_text(SOURCE)
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-c", source, "-o", target], check=True)
    return target.read_bytes()


@pytest.fixture(scope="module")
def spec(compiled: bytes) -> ObjectSpec:
    return ObjectSpec.parse(compiled, "types.o")


def integer(name: str, size: int, *, signed: bool = False, **more: bool) -> dict[str, Any]:
    return {"kind": "int", "name": name, "size": size, "signed": signed, "char": False, "bool": False} | more


def pointer(name: str) -> dict[str, Any]:
    return {"kind": "pointer", "name": name, "size": 8}


def array(element: dict[str, Any], count: int) -> dict[str, Any]:
    return {"kind": "array", "element": element, "count": count}


def member(name: str, offset: int, kind: dict[str, Any], bits: int = 0) -> dict[str, Any]:
    return {"name": name, "offset": offset, "bits": bits, "type": kind}


U32 = integer("unsigned int", 4)
U64 = integer("unsigned long long", 8)
INT = integer("int", 4, signed=True)
CHAR = integer("char", 1, signed=True, char=True)
BYTE = integer("unsigned char", 1)
COLOUR = {
    "kind": "enum",
    "name": "colour",
    "size": 4,
    "signed": True,
    "values": {"RED": 0, "GREEN": 7, "BLUE": -3},
}
PAIR = {
    "kind": "struct",
    "name": "pair_t",
    "size": 2,
    "members": [member("low", 0, integer("signed char", 1, signed=True)), member("high", 8, BYTE)],
}
NODE = {
    "kind": "struct",
    "name": "node",
    "size": 40,
    "members": [
        member("next", 0, pointer("node")),
        member("other", 64, pointer("undefined")),
        member("nothing", 128, pointer("")),
        member("text", 192, pointer("char")),
        member("deep", 256, pointer("")),
    ],
}
NUMBER = {
    "kind": "union",
    "name": "number",
    "size": 8,
    "members": [
        member("i", 0, INT),
        member("f", 0, {"kind": "float", "name": "float", "size": 4}),
        member("d", 0, {"kind": "float", "name": "double", "size": 8}),
        member("bytes", 0, array(BYTE, 8)),
    ],
}


def test_numbers(spec: ObjectSpec) -> None:
    assert spec.types("plain") == {"key": U32, "value": U64, "event": None}


def test_a_struct_with_everything(spec: ObjectSpec) -> None:
    types = spec.types("structured")
    assert types["key"] == NODE
    assert types["event"] == PAIR
    event = types["value"]
    assert event is not None
    assert (event["kind"], event["name"]) == ("struct", "event")
    members = {part["name"]: part for part in event["members"]}
    assert list(members) == [
        *("pid", "comm", "on", "pairs", "colour", "number", "", "three", "seven", "forty", "big", "node", "function"),
        "rest",
    ]
    assert members["comm"] == member("comm", 32, array(CHAR, 16))
    assert members["on"] == member("on", 160, integer("_Bool", 1, bool=True))
    assert members["pairs"] == member("pairs", 168, array(array(PAIR, 3), 2))
    assert members["colour"]["type"] == COLOUR
    assert members["number"]["type"] == NUMBER
    assert members["big"]["type"] == integer("__int128", 16, signed=True)
    assert members["node"]["type"] == NODE
    assert members["function"]["type"] == pointer("")
    assert members["rest"]["type"] == array(integer("unsigned short", 2), 0)
    inner = members[""]["type"]
    assert (inner["kind"], inner["name"]) == ("struct", "")
    assert [(part["name"], part["offset"]) for part in inner["members"]] == [("inner", 0), ("", 64)]
    assert [part["name"] for part in inner["members"][1]["type"]["members"]] == ["s", "l"]


def test_bit_fields_are_in_bits(spec: ObjectSpec) -> None:
    event = spec.types("structured")["value"]
    assert event is not None
    fields = [part for part in event["members"] if part["bits"]]
    assert [(part["name"], part["bits"], part["type"]) for part in fields] == [
        ("three", 3, U32),
        ("seven", 7, U32),
        ("forty", 40, U64),
    ]
    first, second, third = (part["offset"] for part in fields)
    assert second == first + 8
    assert third == second + 7


def test_enumerations(spec: ObjectSpec) -> None:
    state = {"kind": "enum", "name": "state", "size": 4, "values": {"IDLE": 0, "BUSY": 1}, "signed": False}
    assert spec.types("states") == {"key": COLOUR, "value": state, "event": None}


def test_maps_of_events(spec: ObjectSpec) -> None:
    """To the kernel they hold nothing; the first variable that knows tells what it is."""
    events = next(name for name in spec.maps if name.startswith("events"))
    types = spec.types(events)
    assert (types["key"], types["value"]) == (None, None)
    assert types["event"] == spec.types("structured")["value"]
    stream = next(name for name in spec.maps if name.startswith("stream"))
    assert spec.types(stream) == {"key": U32, "value": U32, "event": None}


def test_values_without_keys(spec: ObjectSpec) -> None:
    assert spec.types("queue") == {"key": None, "value": PAIR, "event": None}


def test_maps_that_are_none(spec: ObjectSpec) -> None:
    with pytest.raises(LoadError, match=r"no map `x` in `types.o`; it has .*plain"):
        spec.types("x")


def test_described_structs_are_as_large_as_ctypes_has_them(spec: ObjectSpec) -> None:
    node = spec.types("structured")["key"]
    assert node is not None
    fields = [(part["name"], ctypes.c_void_p) for part in node["members"]]
    made = type(node["name"], (ctypes.Structure,), {"_fields_": fields})
    assert ctypes.sizeof(made) == node["size"]
    assert [getattr(made, part["name"]).offset * 8 for part in node["members"]] == [
        part["offset"] for part in node["members"]
    ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_corrupt_objects_never_panic(compiled: bytes, data: st.DataObject) -> None:
    changes = st.tuples(st.integers(0, len(compiled) - 1), st.integers(0, 255))
    corrupt = bytearray(compiled)
    for position, byte in data.draw(st.lists(changes, min_size=1, max_size=20)):
        corrupt[position] = byte
    try:
        spec = ObjectSpec.parse(bytes(corrupt), "corrupt")
        for name in spec.maps:
            assert set(spec.types(name)) == {"key", "value", "event"}
    except RtraceError:
        return
