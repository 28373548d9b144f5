"""What is known about one column of a trace: unit, description, and how its values are written."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rtrace import histogram_check as check
from rtrace.read_only import ReadOnly

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("", "hex", "oct", "dev")

_MINOR_BITS = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """What is known about one column of a trace.

    Parameters
    ----------
    unit
        Unit of its values: ``"ns"``, ``"bytes"``; empty when they have none or it is not known.
    description
        What it is, in a few words; may be empty.
    flags
        Name by bit mask, in the order in which the kernel tries them (``__print_flags``).
    symbols
        Name by value (``__print_symbolic``). A field has flags or symbols, not both.
    format
        How numbers are written: ``"hex"``, ``"oct"``, ``"dev"`` (a kernel ``dev_t``, as "8,0") or ``""`` (decimal).

    Raises
    ------
    TypeError, ValueError
        If a fact is of the wrong type or not one of these.

    Examples
    --------
    >>> FieldFacts(flags={1: "SYNC", 8: "META"}).name_of(0x19)
    'SYNC|META|0x10'
    >>> FieldFacts(format="dev").name_of(0x800010)
    '8,16'
    """

    unit: str = ""
    description: str = ""
    flags: Mapping[int, str] = dataclasses.field(default_factory=dict)
    symbols: Mapping[int, str] = dataclasses.field(default_factory=dict)
    format: str = ""

    def __post_init__(self) -> None:
        """Check the facts and make the tables read-only."""
        for name in ("unit", "description", "format"):
            check.text(name, getattr(self, name))
        if self.format not in FORMATS:
            msg = f"format: {self.format!r} is not one of {', '.join(FORMATS[1:])}"
            raise ValueError(msg)
        for name in ("flags", "symbols"):
            object.__setattr__(self, name, _table(name, getattr(self, name)))
        if self.flags and self.symbols:
            msg = "flags: a field has either flags or symbols"
            raise ValueError(msg)

    __hash__ = None  # type: ignore[assignment]  # equal by contents, which are mappings

    @property
    def named(self) -> bool:
        """Whether there is a table of names."""
        return bool(self.flags or self.symbols)

    @property
    def worded(self) -> bool:
        """Whether people call its values by something else than plain numbers: names, or the two of a device."""
        return self.named or self.format == "dev"

    def name_of(self, value: int) -> str:
        """Write one value as people read it: by its names where there are any, else as `format` says."""
        if value in self.symbols:
            return self.symbols[value]
        if self.flags:
            return self._flag_names(value)
        if self.format == "dev":
            return f"{value >> _MINOR_BITS},{value & (1 << _MINOR_BITS) - 1}"
        if self.format == "oct":
            return f"{value:#o}"
        return hex(value) if self.format == "hex" or (self.symbols and value >= 0) else str(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain objects that fit JSON; tables as lists of [value, name], to keep their order."""
        tables = {name: [list(pair) for pair in getattr(self, name).items()] for name in ("flags", "symbols")}
        return {"unit": self.unit, "description": self.description, **tables, "format": self.format}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FieldFacts:
        """Build the facts from what `to_dict` returned."""
        tables = {name: dict(data[name]) for name in ("flags", "symbols")}
        return cls(unit=data["unit"], description=data["description"], **tables, format=data["format"])

    def _flag_names(self, value: int) -> str:
        # As trace_print_flags_seq does: a mask counts when all its bits are set, and takes them off.
        names = []
        rest = value
        for mask, name in self.flags.items():
            if (mask and rest & mask == mask) or (mask == value == 0):
                names.append(name)
                rest &= ~mask
        if rest or not names:
            names.append(hex(rest) if rest else "0")
        return "|".join(names)


def exact_text(value: bytes) -> str:
    r"""Decode a kernel string so that no two are the same: what is not UTF-8 is escaped.

    So is a text that would then look like such a one.

    Examples
    --------
    >>> exact_text("é".encode()), exact_text(b"a\xe9"), exact_text(b"a\\xe9")
    ('é', 'a\\xe9', 'a\\\\xe9')
    """
    text = value.partition(b"\0")[0]
    escaped = text.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
    return escaped if "\\x" in escaped else text.decode()


def _table(name: str, value: Mapping[int, str]) -> Mapping[int, str]:
    for key in value:
        if isinstance(key, bool) or not isinstance(key, int):
            msg = f"{name}: {key!r} is not an int"
            raise TypeError(msg)
    return ReadOnly({key: check.text(name, text) for key, text in value.items()})
