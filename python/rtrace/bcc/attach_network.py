"""Attaching to network interfaces, sockets and whatever else takes programs by file descriptor."""

from __future__ import annotations

from rtrace.bcc.function import Function
from rtrace.bcc.names import raw, text, utf8
from rtrace.errors import AttachError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.bcc.links import Links
    from rtrace.bcc.names import Name

# Interfaces with a program of ours, as `remove_xdp` is told nothing but the interface.
_xdp: dict[bytes, tuple[Links, bytes]] = {}


class NetworkAttachments:
    """XDP, raw sockets, and programs on cgroups and socket maps; static, as the program knows its object."""

    @staticmethod
    def attach_xdp(dev: Name, fn: Function, flags: int = 0) -> None:
        """Run a program on every packet that a network interface receives.

        Parameters
        ----------
        dev
            The interface.
        fn
            A program loaded as ``BPF.XDP``.
        flags
            Of :class:`XDPFlags`.
        """
        check(fn)
        link = fn.loaded.native.attach_xdp(fn.program, utf8(dev, "interface"), flags=flags)
        fn.loaded.links.add("xdp", raw(dev), fn.name, [link])
        _xdp[raw(dev)] = (fn.loaded.links, fn.name)

    @staticmethod
    def remove_xdp(dev: Name, flags: int = 0) -> None:
        """Take the program off that this process attached to a network interface.

        `flags` have no effect: it goes the way it was attached.
        """
        del flags  # the link knows how it was attached
        owner = _xdp.pop(raw(dev), None)
        if owner is None:
            message = f"detach xdp from `{text(dev)}`: nothing of this process is attached there"
            raise AttachError(message, kind="xdp", target=text(dev), hint=f"ip link set dev {text(dev)} xdp off")
        links, program = owner
        # Its object may have been closed before.
        try:  # noqa: SIM105  # contextlib takes longer than to attach
            links.remove("xdp", raw(dev), program)
        except AttachError:
            pass

    @staticmethod
    def attach_raw_socket(fn: Function, dev: Name) -> None:
        """Open a raw socket on a network interface that receives what the program lets through, as ``fn.sock``.

        `fn` is a program loaded as ``BPF.SOCKET_FILTER``. The socket is closed with the object.
        """
        check(fn)
        fn.sock = fn.loaded.native.open_raw_socket(fn.program, utf8(dev, "interface"))
        fn.loaded.descriptors.append(fn.sock)

    @staticmethod
    def attach_func(fn: Function, attachable_fd: int, attach_type: int, flags: int = 0) -> None:
        """Attach a program to what a file descriptor stands for: a cgroup, a socket map.

        `attach_type` is one of :class:`BPFAttachType`.
        """
        check(fn)
        link = fn.loaded.native.attach_to_fd(fn.program, attachable_fd, attach_type, flags)
        fn.loaded.links.add("descriptor", func_place(attachable_fd, attach_type), fn.name, [link])

    @staticmethod
    def detach_func(fn: Function, attachable_fd: int, attach_type: int) -> None:
        """Detach a program from what a file descriptor stands for."""
        check(fn)
        fn.loaded.links.remove("descriptor", func_place(attachable_fd, attach_type), fn.name)


def check(function: object) -> None:
    """Raise unless this is a Function."""
    if not isinstance(function, Function):
        message = f"takes what load_func returns, not {type(function).__name__}"
        raise TypeError(message)


def func_place(descriptor: int, attach_type: int) -> bytes:
    """Return the name of a descriptor among the links."""
    return f"{descriptor}:{attach_type}".encode()
