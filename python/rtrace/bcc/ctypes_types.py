"""ctypes classes for the C types of a program, from the descriptions that :meth:`ObjectSpec.types` gives.

A class has the size and the offsets that the compiler chose, whatever ctypes would have chosen: where the two differ
(packed structs, bit fields, 128-bit numbers) the members are placed one by one.
"""

from __future__ import annotations

import ctypes as ct

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Description = dict[str, Any]

_SIGNED = {1: ct.c_int8, 2: ct.c_int16, 4: ct.c_int32, 8: ct.c_int64}
_UNSIGNED = {1: ct.c_uint8, 2: ct.c_uint16, 4: ct.c_uint32, 8: ct.c_uint64}
_FLOATS = {4: ct.c_float, 8: ct.c_double}
# C's names of types, as bcc's `BPF.str2ctype` has them.
BY_NAME = {
    "_Bool": ct.c_bool,
    "char": ct.c_char,
    "wchar_t": ct.c_wchar,
    "unsigned char": ct.c_ubyte,
    "short": ct.c_short,
    "unsigned short": ct.c_ushort,
    "int": ct.c_int,
    "unsigned int": ct.c_uint,
    "long": ct.c_long,
    "unsigned long": ct.c_ulong,
    "long long": ct.c_longlong,
    "unsigned long long": ct.c_ulonglong,
    "float": ct.c_float,
    "double": ct.c_double,
    "long double": ct.c_longdouble,
    "__int128": ct.c_int64 * 2,
    "unsigned __int128": ct.c_uint64 * 2,
}


def opaque(size: int) -> Any:
    """Return a type for bytes about which nothing is known: a number where one has that size."""
    return _UNSIGNED.get(size, ct.c_ubyte * size)


def build(description: Description) -> Any:
    """Return the ctypes class for a description.

    A ``char`` array reads as :class:`bytes` up to its NUL, an enum and a pointer as a number, a number of 128 bits as
    an array of two, low half first, whose ``value`` is the whole.

    Examples
    --------
    >>> u32 = {"kind": "int", "name": "u32", "size": 4, "signed": False, "char": False, "bool": False}
    >>> build({"kind": "array", "element": u32, "count": 3})(1, 2, 3)[2]
    3
    """
    return _BUILDERS[description["kind"]](description)


def _number(description: Description) -> Any:
    size = description["size"]
    if description.get("char"):
        return ct.c_char
    if description.get("bool"):
        return ct.c_bool
    signed = bool(description.get("signed"))
    kinds = _SIGNED if signed else _UNSIGNED
    return kinds.get(size) or _wide(description["name"], kinds[8], signed=signed)


def _wide(name: str, half: Any, *, signed: bool) -> Any:
    """Return the class of a number of 128 bits."""

    def fill(instance: Any, *values: Any) -> None:
        if len(values) == 1 and isinstance(values[0], int):
            instance.value = values[0]
        else:
            ct.Array.__init__(instance, *values)

    def read(instance: Any) -> int:
        return int.from_bytes(bytes(instance), "little", signed=signed)

    def write(instance: Any, value: int) -> None:
        # Of either sign, as the narrower ones take it.
        if not -(1 << 127) <= value < 1 << 128:
            message = f"{name} has 128 bits: {value} does not fit"
            raise OverflowError(message)
        ct.memmove(ct.addressof(instance), (value % (1 << 128)).to_bytes(16, "little"), 16)

    facts = {"_type_": half, "_length_": 2, "_wide_": True, "__init__": fill, "value": property(read, write)}
    return type(name, (ct.Array,), facts)


def _array(description: Description) -> Any:
    return build(description["element"]) * description["count"]


def _aggregate(description: Description) -> Any:
    """Return a Structure or Union that ctypes lays out by itself if it comes out right, else one laid out here."""
    built = [(member, build(member["type"])) for member in description["members"]]
    name = description["name"] or "anonymous"
    base = ct.Union if description["kind"] == "union" else ct.Structure
    fields: list[Any] = []
    anonymous = []
    for number, (member, kind) in enumerate(built):
        called = member["name"] or f"_anonymous_{number}"
        if not member["name"] and issubclass(kind, (ct.Structure, ct.Union)):
            anonymous.append(called)
        fields.append((called, kind, member["bits"]) if member["bits"] else (called, kind))
    try:
        made = type(name, (base,), {"_anonymous_": anonymous, "_fields_": fields})
    except (TypeError, ValueError):  # a bit field of a type that ctypes has none for
        made = None
    if made is not None and ct.sizeof(made) == description["size"]:
        places = [_bits_from_start(getattr(made, field[0])) for field in fields]
        if places == [(member["offset"], member["bits"]) for member in description["members"]]:
            return _told(made, fields, anonymous)
    return _told(_placed(name, base, description, fields), fields, anonymous)


def _told(made: Any, fields: list[Any], anonymous: list[str]) -> Any:
    """Give a class its members as C has them: its own (``_own_``), and with those of anonymous ones (``_parts_``)."""
    made._own_, made._parts_ = [], []
    for name, kind, *_ in fields:
        if name in anonymous:
            made._parts_ += kind._parts_
            # ctypes lets no properties through.
            for inner, _ in kind._parts_:
                if not hasattr(made, inner):
                    setattr(made, inner, _passed_on(name, inner))
        elif not name.startswith("_anonymous_"):
            made._parts_.append((name, kind))
        made._own_.append((name, kind))
    return made


def _passed_on(outer: str, inner: str) -> property:
    """Return a property that is a member's."""

    def read(instance: Any) -> Any:
        return getattr(getattr(instance, outer), inner)

    def write(instance: Any, value: Any) -> None:
        setattr(getattr(instance, outer), inner, value)

    return property(read, write)


def _bits_from_start(field: Any) -> tuple[int, int]:
    """Return offset and width in bits of a ctypes field; the width is 0 unless it is a bit field."""
    width, shift = field.size >> 16, field.size & 0xFFFF
    return (field.offset * 8 + shift, width) if width else (field.offset * 8, 0)


def _placed(name: str, base: Any, description: Description, fields: list[Any]) -> Any:
    """Place every member by hand: unnamed bytes fill the holes, and bit fields become properties over bytes."""
    size = description["size"]
    bit_fields = {}
    placed: list[Any] = []
    end = 0
    for member, field in zip(description["members"], fields, strict=True):
        if member["bits"]:
            bit_fields[field[0]] = _bit_property(member["offset"], member["bits"], member["type"])
            continue
        start = member["offset"] // 8
        if base is ct.Structure and start > end:
            placed.append((f"__pad_{len(placed)}", ct.c_ubyte * (start - end)))
        placed.append(field)
        end = start + ct.sizeof(field[1])
    if base is ct.Structure and size > end:
        placed.append((f"__pad_{len(placed)}", ct.c_ubyte * (size - end)))
    elif base is ct.Union:
        placed.append(("__bytes", ct.c_ubyte * size))
    anonymous = [field[0] for field in placed if field[0].startswith("_anonymous_")]
    return type(name, (base,), {"_pack_": 1, "_anonymous_": anonymous, "_fields_": placed, **bit_fields})


def _bit_property(offset: int, width: int, description: Description) -> property:
    """Return a property that reads and writes bits of the object's own bytes."""
    signed, is_bool = description.get("signed"), description.get("bool")
    first, last = offset // 8, (offset + width + 7) // 8
    shift, mask = offset % 8, (1 << width) - 1

    def view(instance: Any) -> Any:
        return (ct.c_ubyte * (last - first)).from_address(ct.addressof(instance) + first)

    def read(instance: Any) -> int:
        value = int.from_bytes(bytes(view(instance)), "little") >> shift & mask
        if is_bool:
            return bool(value)
        return value - (1 << width) if signed and value >> (width - 1) else value

    def write(instance: Any, value: int) -> None:
        taken = view(instance)
        value = bool(value) if is_bool else value
        rest = int.from_bytes(bytes(taken), "little") & ~(mask << shift)
        taken[:] = (rest | (value & mask) << shift).to_bytes(last - first, "little")

    return property(read, write)


_BUILDERS: dict[str, Callable[[Description], Any]] = {
    "int": _number,
    "float": lambda description: _FLOATS.get(description["size"]) or ct.c_ubyte * description["size"],
    "pointer": lambda description: _UNSIGNED[description["size"]],
    "array": _array,
    "enum": _number,
    "struct": _aggregate,
    "union": _aggregate,
}


def members(kind: Any) -> list[tuple[str, Any]]:
    """Return names and types of a struct's members in C's order, those of anonymous ones in their place."""
    return getattr(kind, "_parts_", None) or [field[:2] for field in kind._fields_]


def own(kind: Any) -> list[tuple[str, Any]]:
    """Return names and types of a struct's own members, anonymous ones among them."""
    return getattr(kind, "_own_", None) or [field[:2] for field in kind._fields_]


def is_number(kind: Any) -> bool:
    """Whether instances of `kind` hold one Python value."""
    return issubclass(kind, ct._SimpleCData)  # noqa: SLF001


def is_text(kind: Any) -> bool:
    """Whether instances of `kind` are text: a ``char`` array."""
    return issubclass(kind, ct.Array) and issubclass(kind._type_, ct.c_char)
