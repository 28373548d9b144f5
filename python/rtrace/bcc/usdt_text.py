"""The C that reads the arguments of USDT probes.

A probe may fire at several places, each with its arguments elsewhere: in registers, in memory, or known to the
compiler. One program serves them all, so it looks where it is. It knows that by the last twelve bits of the instruction
pointer, which are those of the file wherever that is loaded; only where two places share them it takes all bits, which
need a process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol

    class Argument(Protocol):
        """What has a size and a sign."""

        size: int
        signed: bool

    Register = tuple[str, int, int]

# Whatever the machine's pages are, they are at least that large.
_PAGE_BYTES = 0x1000

# `dest` may be wider or narrower than the argument: the value counts, as in an assignment. `len` is a constant.
_STORE = """\
\tswitch (len) {
\tcase 1: *(uint8_t *)dest = value; return error;
\tcase 2: *(uint16_t *)dest = value; return error;
\tcase 4: *(uint32_t *)dest = value; return error;
\tcase 8: *(uint64_t *)dest = value; return error;
\t}
\treturn -22;
"""


def argument_ctype(arguments: Iterable[Argument]) -> str:
    """Return the C type that holds the widest of these."""
    widest = max(arguments, key=lambda argument: argument.size)
    return _ctype(widest.size, signed=widest.signed)


def function_text(function: str, probes: str, locations: Sequence[dict[str, Any]]) -> str:
    """Return the C functions that read the arguments of the probes at which `function` runs.

    Parameters
    ----------
    function
        The program.
    probes
        Names of its probes, for messages.
    locations
        Where it runs, as the native module describes that.

    Raises
    ------
    ValueError
        If two locations cannot be told apart that have their arguments elsewhere.
    """
    count = max(len(location["arguments"]) for location in locations)
    return "".join(_reader(function, probes, index, locations) for index in range(count))


def _reader(function: str, probes: str, index: int, locations: Sequence[dict[str, Any]]) -> str:
    name = f"_bpf_readarg_{function}_{index + 1}"
    parameters = "(struct pt_regs *ctx, void *dest, size_t len)"
    places: dict[str, list[dict[str, Any]]] = {}
    unread = []
    for location in locations:
        arguments = location["arguments"]
        argument = arguments[index] if index < len(arguments) else None
        if argument is None or argument["kind"] == "unreadable":
            unread.append("nothing" if argument is None else argument["text"])
        else:
            places.setdefault(_value(argument, location["address"]), []).append(location)
    if not places:
        # A program that does not ask for it compiles all the same.
        message = f"argument {index + 1} of {probes} is where no program can read it: {unread[0]}"
        return f'int {name}{parameters} __attribute__((error("{_quoted(message)}")));\n'
    if len(places) == 1 and not unread:
        body = f"\t{next(iter(places))}\n"
    else:
        body = _switch(places, whole=not _differ(places.values(), locations))
    # bcc's scripts do not look at the result; what could not be read is 0 then.
    head = f"static __always_inline int {name}{parameters} {{\n\tuint64_t value = 0; int error = 0;\n"
    return f"{head}{body}{_STORE}}}\n"


def _differ(groups: Iterable[Sequence[dict[str, Any]]], locations: Sequence[dict[str, Any]]) -> bool:
    """Whether the last bits of the addresses tell the groups, and what is in none of them, apart."""
    seen: dict[int, int] = {}
    grouped = [[location["address"] % _PAGE_BYTES for location in group] for group in groups]
    held = [id(location) for group in groups for location in group]
    grouped += [[location["address"] % _PAGE_BYTES] for location in locations if id(location) not in held]
    return all(seen.setdefault(low, number) == number for number, lows in enumerate(grouped) for low in lows)


def _switch(places: dict[str, list[dict[str, Any]]], *, whole: bool) -> str:
    lines = [f"\tswitch (PT_REGS_IP(ctx){'' if whole else f' % {_PAGE_BYTES:#x}'}) {{\n"]
    seen: dict[int, str] = {}
    for value, locations in places.items():
        labels = [location["loaded_at"] if whole else location["address"] % _PAGE_BYTES for location in locations]
        # Processes may have different files at one address, as those that are not position independent have.
        if None in labels or any(seen.setdefault(label, value) != value for label in labels):
            message = "it is at two places whose addresses end alike, with its arguments elsewhere"
            raise ValueError(message)
        cases = " ".join(f"case {label:#x}ULL:" for label in dict.fromkeys(labels))
        lines.append(f"\t{cases} {value} break;\n")
    # Another probe's place, or an argument that cannot be read there.
    lines.append("\tdefault: error = -2;\n\t}\n")
    return "".join(lines)


def _value(argument: dict[str, Any], location: int) -> str:
    """Return the statement that puts an argument into `value`."""
    ctype = _ctype(argument["bytes"], signed=argument["signed"])
    if argument["kind"] == "constant":
        return f"value = ({ctype}){argument['constant'] % (1 << 64):#x}ULL;"
    if argument["kind"] == "register":
        return f"value = ({ctype}){_register(argument['register'], argument['signed'], argument['bytes'])};"
    terms = []
    if argument["symbol"] is not None:
        # As far from the place of the probe as in the file, wherever that is loaded.
        distance = argument["symbol_address"] - location
        terms.append(f"PT_REGS_IP(ctx) + {distance % (1 << 64):#x}ULL")
    if argument["base"] is not None:
        terms.append(_register(argument["base"], signed=False))
    if argument["index"] is not None:
        terms.append(f"{_register(argument['index'], argument['index_signed'])} * {argument['scale']}")
    if argument["displacement"] or not terms:
        terms.append(f"{argument['displacement'] % (1 << 64):#x}ULL")
    address = " + ".join(terms)
    return (
        f"{{ {ctype} read = 0; error = bpf_probe_read_user(&read, sizeof(read), (const void *)({address}));"
        " value = read; }"
    )


def _register(register: Register, signed: bool, size: int = 8) -> str:  # noqa: FBT001  # of the register's own width
    """Return the expression for the lowest `size` bytes of a register, filled up where it has fewer."""
    field, shift, bits = register
    whole = "0" if field == "0" else f"ctx->{field}"
    if shift:
        whole = f"({whole} >> {shift})"
    return whole if bits >= size * 8 else f"(uint64_t)({_ctype(bits // 8, signed=signed)}){whole}"


def _ctype(size: int, *, signed: bool) -> str:
    return f"{'' if signed else 'u'}int{size * 8}_t"


def _quoted(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter not in '"\\' else "?" for letter in text)
