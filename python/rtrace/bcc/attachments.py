"""What the ways of attaching share: the loaded object and its programs."""

from __future__ import annotations

import os

from rtrace.bcc import debug
from rtrace.bcc.function import Function
from rtrace.bcc.kinds import kind_of
from rtrace.bcc.names import raw, text, utf8
from rtrace.errors import AttachError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace import _rtrace
    from rtrace.bcc.loaded import Loaded
    from rtrace.bcc.names import Name

# As many probes as bcc opens in one process unless told otherwise.
_PROBE_LIMIT = 1000


class Attachments:
    """Programs of a loaded object, verified when they are first asked for."""

    loaded: Loaded
    funcs: dict[bytes, Function]
    debug: int

    @property
    def native(self) -> _rtrace.Object:
        """The object in the kernel."""
        return self.loaded.native

    def load_func(self, func_name: Name, prog_type: int, device: Name | None = None, attach_type: int = -1) -> Function:
        """Have the verifier look at a program, and put it into the kernel.

        Parameters
        ----------
        func_name
            Its name in C.
        prog_type
            One of :class:`BPFProgType`.
        device
            Not supported: offloading programs to network cards.
        attach_type
            One of :class:`BPFAttachType`, for types of programs that the kernel asks it of.

        Returns
        -------
        Function
            The same for the same name, which is loaded once.
        """
        known = self.funcs.get(raw(func_name))
        if known is not None:
            return known
        if device is not None:
            message = f"load `{text(func_name)}` into the network card `{text(device)}`: not supported"
            raise AttachError(message, program=text(func_name), target=text(device))
        return self._load(text(func_name), kind_of(prog_type, attach_type))

    def _load(self, name: str, kind: str, target: str | None = None) -> Function:
        debug.load_program(self.debug, self.native, utf8(name, "program"), kind, target)
        self.funcs[raw(name)] = function = Function(self, raw(name))  # type: ignore[arg-type]
        return function

    def load_funcs(self, prog_type: int = 2) -> list[Function]:
        """Load every program as one type."""
        return [self.load_func(name, prog_type) for name in self.native.program_names]

    @property
    def kprobe_fds(self) -> dict[bytes, dict[bytes, list[_rtrace.Link]]]:
        """Links of kprobes (``p_FUNCTION``) and kretprobes (``r_FUNCTION``), by place and program."""
        return self.loaded.links.of("kprobe")

    @property
    def uprobe_fds(self) -> dict[bytes, dict[bytes, list[_rtrace.Link]]]:
        """Links of uprobes and uretprobes, by place and program."""
        return self.loaded.links.of("uprobe")

    @property
    def tracepoint_fds(self) -> dict[bytes, dict[bytes, list[_rtrace.Link]]]:
        """Links of tracepoints, by place and program."""
        return self.loaded.links.of("tracepoint")

    def num_open_kprobes(self) -> int:
        """Return how many kprobes and kretprobes are attached."""
        return self.loaded.links.count("kprobe")

    def num_open_uprobes(self) -> int:
        """Return how many uprobes and uretprobes are attached."""
        return self.loaded.links.count("uprobe")

    def num_open_tracepoints(self) -> int:
        """Return how many tracepoints are attached."""
        return self.loaded.links.count("tracepoint")

    @staticmethod
    def get_probe_limit() -> int:
        """Return how many probes may be open at once: BCC_PROBE_LIMIT of the environment, 1000 without."""
        limit = os.environ.get("BCC_PROBE_LIMIT", "")
        return int(limit) if limit.isdigit() else _PROBE_LIMIT

    def _check_probe_quota(self, more: int) -> None:
        limit = self.get_probe_limit()
        have = self.num_open_kprobes() + self.num_open_uprobes()
        if have + more > limit:
            message = f"attach {more} probes: {have} are attached, and {limit} may be at once"
            raise AttachError(message, hint="set BCC_PROBE_LIMIT to a higher number, or match fewer functions")
