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
    """Return `value` as an instance of `kind`.

    Structs are made from tuples of all members in C's order, those of anonymous structs and unions in their place, or
    in a tuple of their own; unions from their first members, which must agree.

    Raises
    ------
    TypeError, ValueError, OverflowError
        If it is not of this type, has another number of members, or does not fit.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, ct._SimpleCData):  # noqa: SLF001  # another number type: its value counts
        value = value.value
    if is_number(kind):
        return _made_number(kind, value)
    if isinstance(value, (bytes, bytearray, ct.Structure, ct.Union, ct.Array)):
        size = ct.sizeof(kind)
        is_text = issubclass(kind, ct.Array) and kind._type_ is ct.c_char
        data = bytes(value).ljust(size if is_text else 0, b"\0")
        if len(data) != size:
            message = f"{kind.__name__} has {size} bytes, got {len(data)} from {value!r}"
            raise ValueError(message)
        return kind.from_buffer_copy(data)
    if isinstance(value, int) and hasattr(kind, "_wide_"):
        return kind(value)
    return _filled(kind, value if isinstance(value, (tuple, list)) else (value,))


def _made_number(kind: Any, value: Any) -> Any:
    try:
        made = kind(value)
    except TypeError as error:
        message = f"expected a {kind.__name__}, got {value!r}"
        raise TypeError(message) from error
    bits = 8 * ct.sizeof(kind)
    # ctypes cuts off what does not fit. Of either sign, as C takes it.
    if type(made.value) is int and not -(1 << bits - 1) <= value < 1 << bits:
        message = f"{kind.__name__} has {bits} bits: {value} does not fit"
        raise OverflowError(message)
    return made


def _filled(kind: Any, items: Any) -> Any:
    """Return an instance of a struct, union or array with these members."""
    if issubclass(kind, ct.Array):
        if len(items) != kind._length_:
            message = f"{kind.__name__} has {kind._length_} elements, got {len(items)}: {items!r}"
            raise ValueError(message)
        made = [make(kind._type_, item) for item in items]
        return kind(*([item.value for item in made] if is_number(kind._type_) else made))
    failed: Exception | None = None
    for way in (members(kind), own(kind)):
        if (1 if issubclass(kind, ct.Union) else len(way)) <= len(items) <= len(way):
            try:
                return _agreed(kind, way, items)
            except (TypeError, ValueError) as error:
                failed = failed or error
    names = ", ".join(name for name, _ in members(kind))
    message = f"{kind.__name__} has {len(members(kind))} members ({names}), got {len(items)}: {items!r}"
    raise failed or ValueError(message)


def _agreed(kind: Any, way: list[Any], items: Any) -> Any:
    """Return a struct or union with these members, if it then has them all: those of a union share their bytes."""
    instance = kind()
    values = []
    for (name, part, *_), item in zip(way, items, strict=False):  # of a union, the first ones
        value = item
        if type(item) is not int or not is_number(part):
            made = make(part, item)
            value = made.value if is_number(part) or isinstance(getattr(kind, name), property) else made
        _put(instance, name, value)
        # What reads as it was written is right, and seldom anything else comes.
        if type(value) is int and getattr(instance, name) != value:
            value = make(part, value).value
            if getattr(instance, name) != value:
                raise _does_not_fit(kind, name, value)
        values.append((name, value))
    if issubclass(kind, ct.Union) or getattr(kind, "_anonymous_", None):
        before = bytes(instance)
        for name, value in values:
            _put(instance, name, value)
            if bytes(instance) != before:
                message = f"{name} of {kind.__name__} shares bytes with a member of another value: {items!r}"
                raise ValueError(message)
    return instance


def _does_not_fit(kind: Any, name: str, value: Any) -> OverflowError:
    return OverflowError(f"{name} of {kind.__name__} is a bit field: {value} does not fit")


def _put(instance: Any, name: str, value: Any) -> None:
    """Set a member of a struct or union."""
    if isinstance(value, ct.Array) and value._type_ is ct.c_char:
        # ctypes would stop at the first NUL.
        ct.memmove(ct.addressof(instance) + getattr(type(instance), name).offset, value, ct.sizeof(value))
    else:
        setattr(instance, name, value)


def members(kind: Any) -> list[tuple[str, Any]]:
    """Return names and types of a struct's members in C's order, those of anonymous ones in their place."""
    return getattr(kind, "_parts_", None) or [field[:2] for field in kind._fields_]


def own(kind: Any) -> list[tuple[str, Any]]:
    """Return names and types of a struct's own members, anonymous ones among them."""
    return getattr(kind, "_own_", None) or [field[:2] for field in kind._fields_]


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
        for name, part in own(kind):
            yield from _words(part, getattr(value, name))
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
    except (TypeError, OverflowError) as error:
        message = f"read {written!r} as {kind.__name__}: {error}"
        raise ValueError(message) from error
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
    for name, part in own(kind):
        item = _parsed(part, tokens, next(tokens))
        plain = item.value if is_number(part) else item
        _put(value, name, plain)
        if is_number(part) and getattr(value, name) != plain:
            raise _does_not_fit(kind, name, plain)
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
    return kind(bytes([number & 0xFF])) if kind is ct.c_char else make(kind, number)


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
