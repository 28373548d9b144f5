"""Attaching to functions of programs and libraries."""

from __future__ import annotations

import os

from rtrace import _rtrace
from rtrace.bcc import discovery
from rtrace.bcc.attachments import Attachments
from rtrace.bcc.names import raw, text, utf8
from rtrace.errors import AttachError, TargetNotFoundError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Self

    from rtrace.bcc.names import Name


class UserAttachments(Attachments):
    """uprobes and uretprobes."""

    def attach_uprobe(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        name: Name = b"",
        sym: Name = b"",
        sym_re: Name = b"",
        addr: int | None = None,
        fn_name: Name = b"",
        pid: int = -1,
        sym_off: int = 0,
    ) -> Self:
        """Run a program at the entry of a function in user space.

        Parameters
        ----------
        name
            Path of a program or library, or a library's short name: ``c`` for libc.
        sym
            The function.
        sym_re
            Regular expression instead of `sym`: all functions that match it from their first character.
        addr
            Address instead of `sym`, as the file's own symbols have it.
        fn_name
            The program.
        pid
            Process to watch, all without; its own files are meant then.
        sym_off
            Bytes into the function.
        """
        return self._attach_user("p", name, sym, sym_re, addr, fn_name, pid, sym_off)

    def attach_uretprobe(  # noqa: PLR0913, PLR0917  # bcc's signature
        self,
        name: Name = b"",
        sym: Name = b"",
        sym_re: Name = b"",
        addr: int | None = None,
        fn_name: Name = b"",
        pid: int = -1,
    ) -> Self:
        """Run a program at the return of a function in user space; parameters as in :meth:`attach_uprobe`."""
        return self._attach_user("r", name, sym, sym_re, addr, fn_name, pid, 0)

    def _attach_user(  # noqa: PLR0913, PLR0917
        self,
        prefix: str,
        name: Name,
        sym: Name,
        sym_re: Name,
        addr: int | None,
        fn_name: Name,
        pid: int,
        sym_off: int,
    ) -> Self:
        path = resolve_path(name, pid)
        if sym_re:
            places = {offset for _, offset in functions(path, sym_re)}
            self._check_probe_quota(len(places))
            if not places:
                message = f"attach uprobe to `{path}`: no function matches `{text(sym_re)}`"
                raise TargetNotFoundError(message, kind="uprobe", target=path)
        else:
            places = {resolve_offset(path, sym, addr, sym_off)}
        program = self.load_func(fn_name, 2)
        for offset in sorted(places):
            self.attach_uprobe_at(prefix, path, offset, program.name, pid)
        return self

    def attach_uprobe_at(  # noqa: PLR0913, PLR0917  # the facts of one probe
        self, prefix: str, path: str, offset: int, fn_name: Name, pid: int = -1, semaphore_offset: int = 0
    ) -> None:
        """Attach to a place in a file; `prefix` is ``p`` for entries and ``r`` for returns."""
        program = self.load_func(fn_name, 2)
        link = self.native.attach_uprobe(
            program.program,
            path,
            offset,
            pid=pid if pid > 0 else None,
            at_return=prefix == "r",
            semaphore_offset=semaphore_offset,
        )
        self.loaded.links.add("uprobe", uprobe_place(prefix, path, offset, pid), program.name, [link])

    def detach_uprobe(
        self, name: Name = b"", sym: Name = b"", addr: int | None = None, pid: int = -1, sym_off: int = 0
    ) -> None:
        """Detach all programs from the entry of a function in user space."""
        path = resolve_path(name, pid)
        self.detach_uprobe_event(uprobe_place("p", path, resolve_offset(path, sym, addr, sym_off), pid))

    def detach_uretprobe(self, name: Name = b"", sym: Name = b"", addr: int | None = None, pid: int = -1) -> None:
        """Detach all programs from the return of a function in user space."""
        path = resolve_path(name, pid)
        self.detach_uprobe_event(uprobe_place("r", path, resolve_offset(path, sym, addr, 0), pid))

    def detach_uprobe_event(self, ev_name: Name) -> None:
        """Detach all programs from a probe by its name in :attr:`uprobe_fds`."""
        self.loaded.links.remove("uprobe", raw(ev_name))

    @staticmethod
    def find_exe(bin_path: Name) -> bytes | None:
        """Return the path of a program, looked for as the shell does; None if there is none."""
        found = _rtrace.find_executable(utf8(bin_path, "program"))
        return None if found is None else raw(found)

    @staticmethod
    def find_library(libname: Name, pid: int = 0) -> bytes | None:
        """Return the path of a library by its short name; None if there is none."""
        return discovery.find_library(libname, pid)

    @staticmethod
    def get_user_functions(name: Name, sym_re: Name) -> set[bytes]:
        """Return the functions of a program or library that match from their first character."""
        return {raw(function) for function, _ in functions(resolve_path(name, -1), sym_re)}

    @staticmethod
    def get_user_addresses(name: Name, sym_re: Name) -> set[int]:
        """Return the addresses of the functions that match, as the file's own symbols have them."""
        return {address for _, address in UserAttachments.get_user_functions_and_addresses(name, sym_re)}

    @staticmethod
    def get_user_functions_and_addresses(name: Name, sym_re: Name) -> list[tuple[bytes, int]]:
        """Return the functions that match and their addresses, as the file's own symbols have them."""
        path = resolve_path(name, -1)
        return [(raw(function), address) for function, address in functions(path, sym_re, as_linked=True)]


def functions(path: str, pattern: Name, *, as_linked: bool = False) -> list[tuple[str, int]]:
    """Return the functions of a file that match from their first character, and where in it they are.

    With `as_linked`, the addresses that the file's own symbols have.
    """
    import re  # noqa: PLC0415  # takes longer than to attach

    matches = re.compile(text(pattern)).match
    return [(name, place) for name, place in _rtrace.elf_functions(path, as_linked=as_linked) if matches(name)]


def resolve_path(name: Name, pid: int) -> str:
    """Return the path of the program or library that is meant."""
    given = text(name)
    if not given:
        message = "attach uprobe: no file given"
        raise AttachError(message, kind="uprobe", hint="name a program, a library, or c for libc")
    if "/" in given:
        return own_root(given, pid)
    found = discovery.find_library(utf8(given, "library or program"), max(pid, 0))
    path = text(found) if found else _rtrace.find_executable(given)
    if path is None:
        message = f"attach uprobe to `{given}`: no such library or program"
        raise TargetNotFoundError(message, kind="uprobe", target=given)
    return own_root(path, pid)


def own_root(path: str, pid: int) -> str:
    """Return the path by which we reach what a process calls `path`, which may live in another root."""
    if pid > 0 and not path.startswith("/proc/"):
        inside = f"/proc/{pid}/root{path}"
        if os.path.exists(inside):
            return inside
    return path


def resolve_offset(path: str, sym: Name, addr: int | None, sym_off: int) -> int:
    """Return where in the file the function, or the address, is."""
    if addr is not None:
        place = _rtrace.elf_address_offset(path, addr + sym_off)
        if place is None:
            message = f"attach uprobe to {addr + sym_off:#x} of `{path}`: the file has nothing there"
            raise TargetNotFoundError(message, kind="uprobe", target=f"{path}:{addr + sym_off:#x}")
        return place
    offset = _rtrace.elf_symbol_offset(path, utf8(sym, "function"))
    if offset is None:
        message = f"attach uprobe to `{text(sym)}` of `{path}`: no such function"
        raise TargetNotFoundError(message, kind="uprobe", target=f"{path}:{text(sym)}")
    return offset + sym_off


def uprobe_place(prefix: str, path: str, offset: int, pid: int) -> bytes:
    """Return bcc's name for a probe: the path with underscores, the place, and the process."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in path)
    name = f"{prefix}_{letters}_0x{offset:x}"
    return (name if pid <= 0 else f"{name}_{pid}").encode()
