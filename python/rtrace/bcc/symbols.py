"""Names of addresses as bcc writes them: ``name+0x12 [module]``.

Everything takes str and bytes, and gives bytes, as bcc does. What has no name is ``[unknown]``.
"""

from __future__ import annotations

import os
import time
import warnings
from functools import lru_cache

from rtrace import _rtrace
from rtrace.bcc.names import utf8
from rtrace.errors import PrivilegeError, SymbolError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    Name = str | bytes

# What bcc calls the kernel's own code.
_KERNEL = b"kernel"
# How many processes are remembered, each with an open file.
_PROCESSES = 256
# Seconds between two looks whether a process still is the same one.
_PAUSE = 0.1


class SymbolCache:
    """The functions of a process, or of the kernel.

    Parameters
    ----------
    pid
        The process; the kernel if below zero.
    """

    def __init__(self, pid: int) -> None:
        self._kernel = _kernel() if pid < 0 else None
        self._process = _process(pid) if pid >= 0 else None

    def resolve(self, addr: int, demangle: bool = True) -> tuple[bytes | None, int, bytes | None]:  # noqa: FBT001, FBT002  # bcc's signature
        """Return name, bytes from its start and module of an address.

        Where only the module is known the name is None and the bytes count from the module's start; where nothing is,
        the module is None as well and the address comes back.
        """
        if self._process is not None:
            found = self._process.resolve(addr, demangle=demangle)
            if found is None:
                return None, addr, None
            name, module, offset = found
            return None if name is None else os.fsencode(name), offset, os.fsencode(module)
        inside = None if self._kernel is None else self._kernel.resolve(addr)
        if inside is None:
            return None, addr, None
        function, of, offset = inside
        return os.fsencode(function), offset, _KERNEL if of is None else os.fsencode(of)

    def resolve_name(self, module: Name | None, name: Name) -> int:
        """Return the address of a name, -1 if there is no such."""
        if self._process is not None:
            address = self._process.address(None if module is None else utf8(module, "module"), utf8(name, "symbol"))
            return -1 if address is None else address
        if self._kernel is not None:
            address = self._kernel.address(utf8(name, "symbol"))
            return -1 if address is None else address
        # The kernel hides where its functions are, not that it has them, which is what most scripts want to know.
        wanted = os.fsdecode(name)
        return 0 if any(function == wanted for function, _ in _rtrace.kernel_functions()) else -1

    @property
    def has_ended(self) -> bool:
        """Whether the process is over; its number may mean another one."""
        return self._kernel is None and (self._process is None or self._process.has_ended)


def sym(
    addr: Any,
    pid: int,
    show_module: bool = False,  # noqa: FBT001, FBT002  # bcc's signature
    show_offset: bool = False,  # noqa: FBT001, FBT002
    demangle: bool = True,  # noqa: FBT001, FBT002
) -> bytes:
    """Return the name of the function at an address of a process; of the kernel, if `pid` is below zero.

    Parameters
    ----------
    addr
        The address, or a ``struct bpf_stack_build_id``, of which only files given to :func:`add_module` are known.
    pid
        The process.
    show_module
        Add the file's name, or the kernel module's: `` [libc.so.6]``.
    show_offset
        Add the bytes from the function's start: ``+0x12``.
    demangle
        Give names of C++ and Rust as the source has them.
    """
    if hasattr(addr, "build_id"):
        name, offset, module = _resolve_build_id(bytes(addr.build_id), addr.offset, demangle=demangle)
    else:
        name, offset, module = symbol_cache(pid).resolve(addr, demangle)
    shown = b"[unknown]" if name is None else name
    if show_offset and name is not None:
        shown += b"+0x%x" % offset
    if show_module and module is not None:
        shown += b" [%s]" % os.path.basename(module)
    return shown


def ksym(addr: int, show_module: bool = False, show_offset: bool = False) -> bytes:  # noqa: FBT001, FBT002  # bcc's signature
    """Return the name of the kernel's function at an address."""
    return sym(addr, -1, show_module, show_offset, demangle=False)


def ksymname(name: Name) -> int:
    """Return the address of one of the kernel's symbols, -1 if there is no such."""
    return symbol_cache(-1).resolve_name(None, name)


def symbol_cache(pid: int) -> SymbolCache:
    """Return the functions of a process, remembered while it lives, and after that until another has its number."""
    pid = max(pid, -1)
    caches = _caches()
    known = caches.get(pid)
    now = time.monotonic()
    if known is not None and pid >= 0 and now - known[1] > _PAUSE:
        if known[0].has_ended and os.path.exists(f"/proc/{pid}"):
            known = None
        else:
            caches[pid] = (known[0], now)
    if known is None:
        while len(caches) >= _PROCESSES:
            del caches[next(iter(caches))]
        known = caches[pid] = (SymbolCache(pid), now)
    return known[0]


def add_module(path: Name) -> None:
    """Name addresses of build ids by the symbols of this file, too."""
    symbols = _rtrace.FileSymbols(os.fsdecode(path))
    if symbols.build_id is None:
        message = f"read the build id of `{os.fsdecode(path)}`: it has none"
        raise SymbolError(message, hint="link it with --build-id")
    _modules()[symbols.build_id] = (symbols, os.fsencode(path))


def find_library(libname: Name, pid: int = 0) -> bytes | None:
    """Return the path of a library by its short name, as ``c``; None if there is none."""
    found = _rtrace.find_library(utf8(libname, "library"), pid=pid if pid > 0 else None)
    return None if found is None else os.fsencode(found)


def find_exe(bin_path: Name) -> bytes | None:
    """Return the path of a program, looked for as the shell does; None if there is none."""
    found = _rtrace.find_executable(utf8(bin_path, "program"))
    return None if found is None else os.fsencode(found)


def get_user_functions_and_addresses(name: Name, sym_re: Name) -> list[tuple[bytes, int]]:
    """Return the functions of a file that match from their first character, and the linker's addresses of them."""
    import re  # noqa: PLC0415  # most scripts name their functions

    path = os.fsdecode(name)
    if "/" not in path:
        path = _rtrace.find_library(utf8(path, "library")) or path
    matches = re.compile(os.fsencode(sym_re)).match
    functions = [(os.fsencode(function), at) for function, at in _rtrace.elf_functions(path, as_linked=True)]
    return [(function, at) for function, at in functions if matches(function)]


def get_user_functions(name: Name, sym_re: Name) -> set[bytes]:
    """Return the functions of a file that match from their first character."""
    return {function for function, _ in get_user_functions_and_addresses(name, sym_re)}


def get_user_addresses(name: Name, sym_re: Name) -> set[int]:
    """Return the linker's addresses of the functions of a file that match from their first character."""
    return {address for _, address in get_user_functions_and_addresses(name, sym_re)}


def _kernel() -> _rtrace.KernelSymbols | None:
    try:
        return _rtrace.KernelSymbols()
    except PrivilegeError as error:
        # A script goes on without names, as with bcc, but not without a word.
        warnings.warn(f"{error}; kernel functions will be [unknown]", RuntimeWarning, stacklevel=4)
        return None


def _process(pid: int) -> _rtrace.ProcessSymbols | None:
    try:
        return _rtrace.ProcessSymbols(pid)
    except SymbolError:
        # It has ended already: there are stacks of it, but no names.
        return None


@lru_cache(maxsize=1)
def _caches() -> dict[int, tuple[SymbolCache, float]]:
    return {}


@lru_cache(maxsize=1)
def _modules() -> dict[bytes, tuple[_rtrace.FileSymbols, bytes]]:
    return {}


def _resolve_build_id(build_id: bytes, offset: int, *, demangle: bool) -> tuple[bytes | None, int, bytes | None]:
    # The kernel has 20 bytes for build ids of any length.
    known = _modules().get(build_id) or _modules().get(build_id.rstrip(b"\0"))
    if known is None:
        return None, offset, None
    symbols, path = known
    found = symbols.resolve(offset, demangle=demangle)
    if found is None:
        return None, offset, path
    return os.fsencode(found[0]), found[1], path
