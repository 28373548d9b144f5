"""ctypes classes for the C types of a program, from the descriptions that :meth:`ObjectSpec.types` gives.

A class has the size and the offsets that the compiler chose, whatever ctypes would have chosen: where the two differ
(packed structs, bit fields, 128-bit numbers) the members are placed one by one.
"""

from __future__ import annotations

import ctypes as ct
import re

from rtrace.bcc.names import raw, text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
    an array of two, low half first.

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
    kinds = _SIGNED if description.get("signed") else _UNSIGNED
    return kinds.get(size) or kinds[8] * (size // 8)


def _array(description: Description) -> Any:
    return build(description["element"]) * description["count"]


def _aggregate(description: Description) -> Any:
    """Return a Structure or Union that ctypes lays out by itself if it comes out right, else one laid out here."""
    members = [(member, build(member["type"])) for member in description["members"]]
    name = description["name"] or "anonymous"
    base = ct.Union if description["kind"] == "union" else ct.Structure
    fields: list[Any] = []
    anonymous = []
    for number, (member, kind) in enumerate(members):
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
            return made
    return _placed(name, base, description, fields)


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
            bit_fields[field[0]] = _bit_property(member["offset"], member["bits"], signed=member["type"].get("signed"))
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


def _bit_property(offset: int, width: int, *, signed: bool) -> property:
    """Return a property that reads and writes bits of the object's own bytes."""
    first, last = offset // 8, (offset + width + 7) // 8
    shift, mask = offset % 8, (1 << width) - 1

    def view(instance: Any) -> Any:
        return (ct.c_ubyte * (last - first)).from_address(ct.addressof(instance) + first)

    def read(instance: Any) -> int:
        value = int.from_bytes(bytes(view(instance)), "little") >> shift & mask
        return value - (1 << width) if signed and value >> (width - 1) else value

    def write(instance: Any, value: int) -> None:
        taken = view(instance)
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


def to_bytes(kind: Any, value: Any, size: int) -> bytes:
    """Return the bytes of `value` as a `kind` of `size` bytes.

    Takes an instance of `kind` or of another ctypes class of the same size, bytes, or what `kind` can be made from: a
    number, or a tuple of members.
    """
    if isinstance(value, (kind, ct.Structure, ct.Union, ct.Array)):
        data = bytes(value)
    elif isinstance(value, (bytes, bytearray)) and not is_number(kind):
        data = bytes(value).ljust(size, b"\0") if issubclass(kind, ct.Array) else bytes(value)
    else:
        data = bytes(make(kind, value))
    if len(data) != size:
        message = f"{kind.__name__} has {size} bytes, got {len(data)} from {value!r}"
        raise ValueError(message)
    return data


def make(kind: Any, value: Any) -> Any:
    """Return `value` as an instance of `kind`."""
    if isinstance(value, kind):
        return value
    if isinstance(value, ct._SimpleCData):  # noqa: SLF001  # another number type: its value counts
        value = value.value
    return kind(*value) if isinstance(value, (tuple, list)) else kind(value)


def is_number(kind: Any) -> bool:
    """Whether instances of `kind` hold one Python value."""
    return issubclass(kind, ct._SimpleCData)  # noqa: SLF001


def instances(kind: Any, data: bytes) -> list[Any]:
    """Return the instances of `kind` that stand one after the other in `data`, all over one copy of it."""
    size = ct.sizeof(kind)
    array = (kind * (len(data) // size)).from_buffer_copy(data)
    # Indexing an array of numbers gives Python's own: these are wrapped as bcc gives them, with `.value`.
    return [kind(value) for value in array] if is_number(kind) else list(array)


def words(value: Any) -> Iterator[str]:
    """Yield the tokens of a value's text, as bcc writes it.

    Numbers are hexadecimal, those below zero as their bits are; ``char`` arrays stand in quotes up to their NUL, other
    arrays in brackets, members in braces.

    Examples
    --------
    >>> " ".join(words((ct.c_int16 * 2)(-1, 2))), " ".join(words((ct.c_char * 4)(b"a")))
    ('[ 0xffff 0x2 ]', '"a"')
    """
    return _words(type(value), value)


def to_text(kind: Any, value: Any) -> bytes:
    """Return `value` as a `kind` as text; bytes of a text that are none of UTF-8 stay as they are."""
    return raw(" ".join(words(make(kind, value))))


def _words(kind: Any, value: Any) -> Iterator[str]:
    # Members and items of simple types come as Python's own values, which do not tell their type.
    plain = getattr(value, "value", value)
    if is_number(kind):
        yield repr(plain) if isinstance(plain, float) else hex(_bits(kind, plain))
    elif _is_text(kind):
        yield f'"{text(plain)}"'
    elif issubclass(kind, ct.Array):
        yield "["
        for item in value:
            yield from _words(kind._type_, item)
        yield "]"
    else:
        yield "{"
        for field in kind._fields_:
            yield from _words(field[1], getattr(value, field[0]))
        yield "}"


def _bits(kind: Any, value: int | bytes | None) -> int:
    number = value[0] if isinstance(value, bytes) else value or 0
    return number & (1 << 8 * ct.sizeof(kind)) - 1


def _is_text(kind: Any) -> bool:
    return issubclass(kind, ct.Array) and issubclass(kind._type_, ct.c_char)


# As in bcc, a text ends at its first quote: it has no way to write one.
_WORD = re.compile(r"""\"[^"]*"|[{}\[\]]|[^\s"{}\[\]]+|.""")


def from_words(kind: Any, written: str) -> Any:
    """Return the value that :func:`words` wrote.

    Numbers may be of any base that C knows, also those of ``char``; a text may stand for an array of bytes, too.

    Raises
    ------
    ValueError
        If the text is not of this type.

    Examples
    --------
    >>> from_words(ct.c_uint32 * 3, "[ 0x1 2 03 ]")[1]
    2
    """
    tokens = (word for word in _WORD.findall(written) if not word.isspace())
    try:
        value = _parsed(kind, tokens, next(tokens))
    except StopIteration:
        value = None
    if value is None or next(tokens, None) is not None:
        message = f"read {written!r} as {kind.__name__}: too {'short' if value is None else 'long'}"
        raise ValueError(message)
    return value


def _parsed(kind: Any, tokens: Iterator[str], token: str) -> Any:
    if is_number(kind):
        return _number_of(kind, token)
    value = kind()
    if issubclass(kind, ct.Array):
        if _is_text(kind) or token.startswith('"'):
            _put_text(value, token)
            return value
        _expect(token, "[")
        for index in range(kind._length_):
            item = _parsed(kind._type_, tokens, next(tokens))
            value[index] = item.value if is_number(kind._type_) else item
        _expect(next(tokens), "]")
        return value
    _expect(token, "{")
    for field in kind._fields_:
        item = _parsed(field[1], tokens, next(tokens))
        setattr(value, field[0], item.value if is_number(field[1]) or hasattr(item, "raw") else item)
    _expect(next(tokens), "}")
    return value


def _number_of(kind: Any, token: str) -> Any:
    try:
        if kind in {ct.c_float, ct.c_double, ct.c_longdouble}:
            return kind(float(token))
        # C's zero in front says octal, which Python refuses.
        digits = token.lstrip("+-")
        number = int(token, 8 if digits.isdigit() and digits.startswith("0") else 0)
    except ValueError:
        message = f"expected a number where {token} stands"
        raise ValueError(message) from None
    return kind(bytes([number & 0xFF])) if kind is ct.c_char else kind(number)


def _put_text(value: Any, token: str) -> None:
    size = ct.sizeof(value)
    data = raw(token[1:-1])
    if token[0] != '"' or ct.sizeof(value._type_) != 1:
        message = f"expected {'a text' if _is_text(type(value)) else '['} where {token} stands"
        raise ValueError(message)
    if len(data) > size:
        message = f"a text of {len(data)} bytes where {size} have room: {token}"
        raise ValueError(message)
    ct.memmove(value, data, len(data))


def _expect(token: str, wanted: str) -> None:
    if token != wanted:
        message = f"expected {wanted} where {token} stands"
        raise ValueError(message)
