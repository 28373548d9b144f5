"""One program of a BPF object, loaded."""

from __future__ import annotations

from rtrace.bcc.loaded import Owned

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.bcc.bpf import BPF


class Function(Owned):
    """A program that the verifier has accepted.

    Attributes
    ----------
    bpf : BPF
        The object that it belongs to, while somebody has that.
    name : bytes
        Its name in C.
    sock : int
        File descriptor of the raw socket, after ``attach_raw_socket``.
    """

    def __init__(self, bpf: BPF, name: bytes) -> None:
        super().__init__(bpf)
        self.name = name
        self.sock = -1

    @property
    def program(self) -> str:
        """Its name as str."""
        return self.name.decode()

    @property
    def fd(self) -> int:
        """Its file descriptor, good until the object is closed."""
        return self.loaded.native.program_fd(self.program)

    def __repr__(self) -> str:
        """Return the name."""
        return f"<Function {self.program}>"
