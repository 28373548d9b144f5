"""The kernel's tracepoints for people: a list to look through, and what the record of one looks like."""

from __future__ import annotations

from dataclasses import dataclass

from rtrace import _rtrace, tracefs

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["TracepointField", "TracepointFormat", "TracepointList", "tracepoint_format", "tracepoints"]


class TracepointList(tuple[str, ...]):
    """Names of tracepoints, ``"category:name"``, sorted; a tuple that shows itself by category."""

    __slots__ = ()

    @property
    def categories(self) -> dict[str, list[str]]:
        """The names without their category, by category."""
        found: dict[str, list[str]] = {}
        for target in self:
            category, _, name = target.partition(":")
            found.setdefault(category, []).append(name)
        return found

    def __str__(self) -> str:
        """Return one name per line."""
        return "\n".join(self)

    def __repr__(self) -> str:
        """Name the thing in one line."""
        return f"<TracepointList tracepoints={len(self)} categories={len(self.categories)}>"

    def _repr_html_(self) -> str:
        from rtrace.display.tracepoint_html import list_html  # noqa: PLC0415  # only notebooks need it

        return list_html(self)


@dataclass(frozen=True, slots=True)
class TracepointField:
    """One field of a tracepoint's record.

    Attributes
    ----------
    name : str
        The kernel's name for it.
    c_type : str
        Its type in C: ``"dev_t"``, ``"char[16]"``; ``"__data_loc char[]"`` is a text of any length.
    offset, size : int
        Its place in the kernel's record, bytes.
    column, numpy : str
        Name and numpy type of its column in a trace: ``"u4"``, ``"S16"``, ``"u8[6]"``.
    common : bool
        Whether all tracepoints have it; such are not recorded.
    """

    name: str
    c_type: str
    offset: int
    size: int
    column: str
    numpy: str
    common: bool


@dataclass(frozen=True, slots=True, repr=False)
class TracepointFormat:
    """What the kernel tells of a tracepoint's record; made by :func:`tracepoint_format`. Print it, or look into it.

    Attributes
    ----------
    target : str
        ``"category:name"``.
    id, size : int
        The kernel's number for the tracepoint, and the length of its record, bytes.
    fields : tuple of TracepointField
        In the order of the record, the common ones first.
    facts : dict
        Everything that was found, as plain objects that fit JSON: also tables of names (``tables``), how values are
        to be read (``hints``) and the kernel's own ``format_string``.
    text : str
        The kernel's file as it is.
    """

    target: str
    id: int
    size: int
    fields: tuple[TracepointField, ...]
    facts: dict[str, Any]
    text: str

    def __getitem__(self, name: str) -> TracepointField:
        """Return the field of that name."""
        for field in self.fields:
            if field.name == name:
                return field
        message = f"`{self.target}` has no field {name!r}; there are {', '.join(field.name for field in self.fields)}"
        raise KeyError(message)

    def __str__(self) -> str:
        """Return a table below 80 columns."""
        from rtrace.display.tracepoint_text import format_lines  # noqa: PLC0415  # not for those who want the facts

        return "\n".join(format_lines(self.facts))

    def __repr__(self) -> str:
        """Name the thing in one line."""
        own = sum(not field.common for field in self.fields)
        return f"<TracepointFormat {self.target} id={self.id} fields={own} size={self.size} bytes>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # Where there is no HTML, in a terminal or a text export, the table says more than the name; HTML is added.
        return {"text/plain": str(self)}

    def _repr_html_(self) -> str:
        from rtrace.display.tracepoint_html import format_html  # noqa: PLC0415  # only notebooks need it

        return format_html(self)


def tracepoints(pattern: str = "*:*") -> TracepointList:
    """List the kernel's tracepoints that match a pattern.

    Parameters
    ----------
    pattern
        As for files: ``"block:*"``, ``"*:sched_*"``; a bare word matches names in every category.

    Returns
    -------
    TracepointList
        A tuple of ``"category:name"``, sorted; empty if nothing matches.

    Raises
    ------
    PrivilegeError
        If tracefs cannot be read.

    Notes
    -----
    Kernel: 5.10 or newer. Privilege: reading tracefs, in practice root; it need not be mounted.

    Examples
    --------
    >>> rtrace.tracepoints("block:*")  # doctest: +SKIP
    <TracepointList tracepoints=21 categories=1>
    """
    return TracepointList(tracefs.tracepoints(pattern))


def tracepoint_format(target: str) -> TracepointFormat:
    """Tell what the record of a tracepoint looks like: its fields, their types and places.

    Parameters
    ----------
    target
        ``"category:name"``, as :func:`tracepoints` lists them.

    Returns
    -------
    TracepointFormat
        Of each field its C type, offset and size, and the numpy type of its column in a trace.

    Raises
    ------
    TargetNotFoundError
        If the kernel has no such tracepoint; near matches are in ``suggestions``.
    PrivilegeError
        If tracefs cannot be read.
    ValueError
        If the kernel's text cannot be understood.

    Notes
    -----
    Kernel: 5.10 or newer. Privilege: reading tracefs, in practice root; it need not be mounted.

    Examples
    --------
    >>> rtrace.tracepoint_format("sched:sched_switch")["prev_comm"].numpy  # doctest: +SKIP
    'S16'
    """
    return parse(target, tracefs.format_text(target), tracefs.parse_with_enumerators)


def parse(
    target: str, text: str, parse_text: Callable[[str], dict[str, Any]] = _rtrace.parse_format
) -> TracepointFormat:
    """Return what the text of a ``format`` file says."""
    try:
        facts = parse_text(text)
    except ValueError as error:
        message = f"read the format of `{target}`: {error}"
        raise ValueError(message) from error
    del facts["dtype"], facts["unknown"]
    for field in facts["fields"]:
        field["column"], field["numpy"] = _column(field)
    fields = tuple(
        TracepointField(**{name: field[name] for name in TracepointField.__dataclass_fields__})
        for field in facts["fields"]
    )
    return TracepointFormat(target, facts["id"], facts["size"], fields, {"tracepoint": target, **facts}, text)


def _column(field: dict[str, Any]) -> tuple[str, str]:
    """Return name and numpy type of a field's column in a trace."""
    from rtrace.shapes import record_plan  # noqa: PLC0415  # upwards, for the layout that records will have

    plan = record_plan.Plan([field], max_text=64, max_array=64)
    name = next(name for name in plan.columns if name not in record_plan.HEADER)
    plain = plan.columns[name][0]
    if isinstance(plain, str):
        return name, plain.removeprefix("=")
    element, shape = plain
    return name, f"{element.removeprefix('=')}[{shape[0]}]"
