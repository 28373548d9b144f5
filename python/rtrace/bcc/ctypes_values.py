"""Values of ctypes classes: made of what Python has, and taken out of a map's bytes."""

from __future__ import annotations

import ctypes as ct

from rtrace.bcc.ctypes_types import is_number, members, own

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


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
        put(instance, name, value)
        # What reads as it was written is right, and seldom anything else comes.
        if type(value) is int and getattr(instance, name) != value:
            value = make(part, value).value
            if getattr(instance, name) != value:
                raise does_not_fit(kind, name, value)
        values.append((name, value))
    if issubclass(kind, ct.Union) or getattr(kind, "_anonymous_", None):
        before = bytes(instance)
        for name, value in values:
            put(instance, name, value)
            if bytes(instance) != before:
                message = f"{name} of {kind.__name__} shares bytes with a member of another value: {items!r}"
                raise ValueError(message)
    return instance


def does_not_fit(kind: Any, name: str, value: Any) -> OverflowError:
    """Make the error of a bit field that would cut a number off."""
    return OverflowError(f"{name} of {kind.__name__} is a bit field: {value} does not fit")


def put(instance: Any, name: str, value: Any) -> None:
    """Set a member of a struct or union."""
    if isinstance(value, ct.Array) and value._type_ is ct.c_char:
        # ctypes would stop at the first NUL.
        ct.memmove(ct.addressof(instance) + getattr(type(instance), name).offset, value, ct.sizeof(value))
    else:
        setattr(instance, name, value)


def instances(kind: Any, data: bytes) -> list[Any]:
    """Return the instances of `kind` that stand one after the other in `data`, all over one copy of it."""
    size = ct.sizeof(kind)
    array = (kind * (len(data) // size)).from_buffer_copy(data)
    # Indexing an array of numbers gives Python's own: these are wrapped as bcc gives them, with `.value`.
    return [kind(value) for value in array] if is_number(kind) else list(array)
