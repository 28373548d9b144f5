"""Values of ctypes classes as text, as bcc writes and reads it."""

from __future__ import annotations

import ctypes as ct
import re

from rtrace.bcc.ctypes_types import is_number, is_text, own
from rtrace.bcc.ctypes_values import does_not_fit, make, put
from rtrace.bcc.names import raw, text

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


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
    elif is_text(kind):
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
        if is_text(kind) or token.startswith('"'):
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
        put(value, name, plain)
        if is_number(part) and getattr(value, name) != plain:
            raise does_not_fit(kind, name, plain)
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
        message = f"expected {'a text' if is_text(type(value)) else '['} where {token} stands"
        raise ValueError(message)
    if len(data) > size:
        message = f"a text of {len(data)} bytes where {size} have room: {token}"
        raise ValueError(message)
    ct.memmove(value, data, len(data))


def _expect(token: str, wanted: str) -> None:
    if token != wanted:
        message = f"expected {wanted} where {token} stands"
        raise ValueError(message)
