"""The probes that programs declare (USDT), as bcc gives them to scripts.

>>> from rtrace.bcc import BPF, USDT  # doctest: +SKIP
>>> probes = USDT(pid=1234)  # doctest: +SKIP
>>> probes.enable_probe("http__server__request", "do_trace")  # doctest: +SKIP
>>> b = BPF(text=SOURCE, usdt_contexts=[probes])  # doctest: +SKIP
"""

from __future__ import annotations

import os
import sys

from rtrace import _rtrace
from rtrace.bcc.names import utf8
from rtrace.bcc.usdt_text import argument_ctype, function_text
from rtrace.errors import RtraceError, TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Name = str | bytes

# What bcc's `USDTProbeArgument.valid` says that there is.
CONSTANT, DEREF_OFFSET, DEREF_IDENT, BASE_REGISTER_NAME, INDEX_REGISTER_NAME, SCALE = (1 << bit for bit in range(6))


class USDTException(TargetNotFoundError):  # noqa: N818  # bcc's name
    """A probe cannot be found, or not be used; like names are in `suggestions`."""


class USDTProbeArgument:
    """Where a probe finds one of its arguments."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.size: int = facts["bytes"]
        self.signed: bool = facts["signed"]
        self.text: str = facts["text"]
        self.valid = 0
        if facts["kind"] == "constant":
            self.valid = CONSTANT
            self.constant: int = facts["constant"]
        elif facts["kind"] == "register":
            self.valid = BASE_REGISTER_NAME
            self.base_register_name: bytes = facts["register"][0].encode()
        elif facts["kind"] == "memory":
            self.valid = DEREF_OFFSET
            self.deref_offset: int = facts["displacement"]
            if facts["base"] is not None:
                self.valid |= BASE_REGISTER_NAME
                self.base_register_name = facts["base"][0].encode()
            if facts["index"] is not None:
                self.valid |= INDEX_REGISTER_NAME | SCALE
                self.index_register_name: bytes = facts["index"][0].encode()
                self.scale: int = facts["scale"]
            if facts["symbol"] is not None:
                self.valid |= DEREF_IDENT
                self.deref_ident: bytes = facts["symbol"].encode()

    def __str__(self) -> str:
        """Return size and place, as ``tplist -v`` shows them."""
        return f"{self.size} {'signed  ' if self.signed else 'unsigned'} bytes @ {self._place()}"

    def _place(self) -> str:
        if self.valid & CONSTANT:
            return str(self.constant)
        if not self.valid & DEREF_OFFSET:
            return self.base_register_name.decode() if self.valid else f"unrecognized: {self.text}"
        names = [f"&{self.deref_ident.decode()}"] if self.valid & DEREF_IDENT else []
        if self.valid & BASE_REGISTER_NAME:
            names.append(self.base_register_name.decode())
        place = f"{' + '.join(names)} {'-' if self.deref_offset < 0 else '+'} {abs(self.deref_offset)}".strip()
        if self.valid & INDEX_REGISTER_NAME:
            place += f" + {self.index_register_name.decode()} * {self.scale}"
        return f"*({place})"


class USDTProbeLocation:
    """A place in the code where a probe fires."""

    def __init__(self, probe: USDTProbe, index: int, facts: dict[str, Any]) -> None:
        self.probe = probe
        self.index = index
        self.facts = facts
        self.address: int = facts["address"]
        self.bin_path = probe.bin_path
        self.num_arguments = len(facts["arguments"])

    def __str__(self) -> str:
        """Return file and address."""
        return f"{os.fsdecode(self.bin_path)} {self.address:#x}"

    def get_argument(self, index: int) -> USDTProbeArgument:
        """Return where an argument is; the first one is number 0."""
        if not 0 <= index < self.num_arguments:
            message = f"argument {index} of probe `{self.probe.short_name()}`: it has {self.num_arguments}"
            raise USDTException(message, kind="usdt", target=self.probe.short_name())
        return USDTProbeArgument(self.facts["arguments"][index])


class USDTProbe:
    """A probe of a program or library."""

    def __init__(self, context: USDT, facts: dict[str, Any]) -> None:
        self.context = context
        self.facts = facts
        self.provider: bytes = os.fsencode(facts["provider"])
        self.name: bytes = os.fsencode(facts["name"])
        self.bin_path: bytes = os.fsencode(facts["path"])
        locations = facts["locations"]
        self.locations = [USDTProbeLocation(self, index, location) for index, location in enumerate(locations)]
        self.semaphore: int = max(location["semaphore"] for location in locations)
        self.num_locations = len(locations)
        self.num_arguments = self.locations[0].num_arguments

    def __str__(self) -> str:
        """Return the name, and where the counter of its listeners is."""
        return f"{self.short_name()} [sema 0x{self.semaphore:x}]"

    def short_name(self) -> str:
        """Return ``provider:name``."""
        return f"{os.fsdecode(self.provider)}:{os.fsdecode(self.name)}"

    def get_location(self, index: int) -> USDTProbeLocation:
        """Return one of the places where the probe fires."""
        if not 0 <= index < self.num_locations:
            message = f"location {index} of probe `{self.short_name()}`: it has {self.num_locations}"
            raise USDTException(message, kind="usdt", target=self.short_name())
        return self.locations[index]


class USDT:
    """The probes of a file, or of all files that a process has mapped.

    Parameters
    ----------
    pid
        The process; programs are attached to it alone.
    path
        The file, the name of a program in ``$PATH``, or a library's short name; with a process, as that sees it.

    Raises
    ------
    USDTException
        If there is no such file or process.
    """

    def __init__(self, pid: int | None = None, path: Name | None = None) -> None:
        self.pid = pid if pid is not None and pid > 0 else None
        self.path = os.fsdecode(path) if path else None
        if self.pid is None and self.path is None:
            message = "either a pid or a binary path must be specified"
            raise USDTException(message, kind="usdt")
        if self.path is not None and "/" not in self.path:
            name = utf8(self.path, "library or program")
            found = _rtrace.find_executable(name) or _rtrace.find_library(name, pid=self.pid)
            self.path = found or self.path
        try:
            found_probes = _rtrace.usdt_probes(self.path, pid=self.pid)
        except RtraceError as error:
            message = f"find USDT probes: {error}"
            raise USDTException(message, kind="usdt", target=self.path, hint=error.hint) from error
        self._probes = [USDTProbe(self, facts) for facts in found_probes]
        self._enabled: list[tuple[USDTProbe, str]] = []

    def enable_probe(self, probe: Name, fn_name: Name) -> None:
        """Have a program run where a probe fires.

        Parameters
        ----------
        probe
            ``name``, or ``provider:name``.
        fn_name
            The program's function in the C source; it reads arguments by ``bpf_usdt_readarg(1, ctx, &x)``.

        Raises
        ------
        USDTException
            If there is no such probe, several of that name, or it is enabled for that function already.
        """
        found, function = self._find(os.fsdecode(probe)), os.fsdecode(fn_name)
        if (found, function) in self._enabled:
            message = f"enable probe `{found.short_name()}`: it is enabled for `{function}` already"
            raise USDTException(message, kind="usdt", target=found.short_name())
        self._enabled.append((found, function))

    def enable_probe_or_bail(self, probe: Name, fn_name: Name) -> None:
        """Have a program run where a probe fires, or end this script with a message."""
        try:
            self.enable_probe(probe, fn_name)
        except USDTException as error:
            hint = f"\nhint: {error.hint}" if error.hint else ""
            sys.stderr.write(f"{error}{hint}\n")
            sys.exit(1)

    def _find(self, probe: str) -> USDTProbe:
        provider, _, name = probe.rpartition(":")
        same = [found for found in self._probes if os.fsdecode(found.name) == name]
        found = [one for one in same if not provider or os.fsdecode(one.provider) == provider]
        if not found:
            raise self._no_probe(probe)
        if len({one.short_name() for one in found}) > 1:
            names = sorted({one.short_name() for one in found})
            message = f"enable probe `{probe}`: several providers have one"
            hint = f"say which: {', '.join(names)}"
            raise USDTException(message, kind="usdt", target=probe, suggestions=names, hint=hint)
        return found[0]

    def _no_probe(self, probe: str) -> USDTException:
        import difflib  # noqa: PLC0415  # of use only once a probe is missing

        names = {os.fsdecode(one.name) for one in self._probes} | {one.short_name() for one in self._probes}
        near = tuple(difflib.get_close_matches(probe, sorted(names), n=5, cutoff=0.6))
        where = self.path or f"process {self.pid}"
        if near:
            hint = f"did you mean {', '.join(near)}?"
        elif names:
            hint = f"it has {', '.join(sorted({one.short_name() for one in self._probes})[:10])}"
        else:
            hint = "it has no USDT probes; programs need them switched on when they are built (--with-dtrace and such)"
        message = f"enable probe `{probe}`: `{where}` has no such USDT probe"
        return USDTException(message, kind="usdt", target=probe, suggestions=near, hint=hint)

    @property
    def enabled(self) -> list[tuple[USDTProbe, str]]:
        """The probes to attach to, and the function of the source for each."""
        return list(self._enabled)

    def get_text(self) -> str:
        """Return the C functions that read the arguments of the enabled probes.

        For argument N of the probe of function F that is ``_bpf_readarg_F_N(ctx, &x, sizeof(x))``, which
        ``bpf_usdt_readarg(N, ctx, &x)`` within F stands for.
        """
        return contexts_text([self])

    def get_probe_arg_ctype(self, probe_name: Name, arg_index: int) -> str:
        """Return the C type that holds an argument wherever the probe fires; the first one is number 0."""
        probe = self._find(os.fsdecode(probe_name))
        return argument_ctype([location.get_argument(arg_index) for location in probe.locations])

    def enumerate_probes(self) -> list[USDTProbe]:
        """List all probes."""
        return list(self._probes)

    def enumerate_active_probes(self) -> list[tuple[bytes, bytes, int, int]]:
        """List the places of enabled probes: file, function of the source, address in the file, process or -1."""
        return [
            (probe.bin_path, os.fsencode(function), location.address, self.pid or -1)
            for probe, function in self._enabled
            for location in probe.locations
        ]

    def attach_uprobes(self, bpf: Any, attach_usdt_ignore_pid: bool = False) -> None:  # noqa: FBT001, FBT002  # bcc's signature
        """Attach the programs of a BPF object to their probes."""
        pid = -1 if attach_usdt_ignore_pid or self.pid is None else self.pid
        for probe, function in self._enabled:
            path = os.fsdecode(probe.bin_path)
            for location in probe.locations:
                facts = location.facts
                bpf.attach_uprobe_at("p", path, facts["offset"], function, pid, facts["semaphore_offset"])

    def get_context(self) -> USDT:
        """Return what stands for bcc's handle."""
        return self

    def __repr__(self) -> str:
        """Return the file and process, and how many probes they have."""
        return f"<USDT pid={self.pid} path={self.path} probes={len(self._probes)} enabled={len(self._enabled)}>"


def contexts_text(contexts: Sequence[USDT]) -> str:
    """Return the C functions that read the arguments of the enabled probes of several contexts.

    A function of the source has one reader for each argument, whichever contexts name it: those of several processes
    of one program, or of programs that have their arguments elsewhere, which the places of the probes tell apart.

    Raises
    ------
    USDTException
        If two places cannot be told apart that have their arguments elsewhere.
    """
    functions: dict[str, list[USDTProbe]] = {}
    for context in contexts:
        for probe, function in context.enabled:
            functions.setdefault(function, []).append(probe)
    return "".join(_readers(function, probes) for function, probes in functions.items())


def _readers(function: str, probes: Sequence[USDTProbe]) -> str:
    names = ", ".join(dict.fromkeys(probe.short_name() for probe in probes))
    try:
        return function_text(function, names, [location.facts for probe in probes for location in probe.locations])
    except ValueError as error:
        message = f"read the arguments of probe `{names}`: {error}"
        known = all(probe.context.pid for probe in probes)
        hint = (
            "give each program a function of its own"
            if known
            else "give the process (pid=), whose addresses tell its places apart"
        )
        raise USDTException(message, kind="usdt", target=names, hint=hint) from error
