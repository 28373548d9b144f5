"""The methods of a BPF object that name addresses."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.bcc.names import Name


class SymbolMethods:
    """Static, as symbols belong to the kernel and to processes."""

    @staticmethod
    def sym(
        addr: Any,
        pid: int,
        show_module: bool = False,  # noqa: FBT001, FBT002  # bcc's signature
        show_offset: bool = False,  # noqa: FBT001, FBT002
        demangle: bool = True,  # noqa: FBT001, FBT002
    ) -> bytes:
        """Return the name of the function at an address of a process; of the kernel, if `pid` is below zero."""
        from rtrace.bcc import symbols  # noqa: PLC0415  # most scripts name no addresses

        return symbols.sym(addr, pid, show_module, show_offset, demangle)

    @staticmethod
    def ksym(addr: int, show_module: bool = False, show_offset: bool = False) -> bytes:  # noqa: FBT001, FBT002
        """Return the name of the kernel's function at an address."""
        from rtrace.bcc import symbols  # noqa: PLC0415  # most scripts name no addresses

        return symbols.ksym(addr, show_module, show_offset)

    @staticmethod
    def ksymname(name: Name) -> int:
        """Return the address of one of the kernel's symbols, -1 if there is no such."""
        from rtrace.bcc import symbols  # noqa: PLC0415  # most scripts name no addresses

        return symbols.ksymname(name)

    @staticmethod
    def add_module(modname: Name) -> None:
        """Name addresses of build ids by the symbols of this file, too; warn if that has none.

        Scripts add what may be there, and go on without: bcc says nothing.
        """
        import warnings  # noqa: PLC0415

        from rtrace.bcc import symbols  # noqa: PLC0415
        from rtrace.errors import RtraceError  # noqa: PLC0415

        try:
            symbols.add_module(modname)
        except RtraceError as error:
            warnings.warn(f"{error}; addresses in it will be [unknown]", RuntimeWarning, stacklevel=2)
