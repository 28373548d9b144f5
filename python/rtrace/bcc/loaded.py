"""What a BPF object holds in the kernel, and lets go of together."""

from __future__ import annotations

import os
import weakref

from rtrace.bcc.links import Links
from rtrace.bcc.readers import AllReaders
from rtrace.bcc.trace_pipe import TracePipe

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace import _rtrace
    from rtrace.bcc.bpf import BPF
    from rtrace.bcc.readers import Reader


class Held:
    """What has to be closed. It knows nobody who uses it, callbacks neither, so that all of them can go before."""

    def __init__(self, native: _rtrace.Object) -> None:
        self.native = native
        self.links = Links()
        self.opened: list[Reader] = []
        self.trace_pipe = TracePipe()
        self.descriptors: list[int] = []

    def close(self) -> None:
        """Detach every program and let go of everything, whatever goes wrong meanwhile; then warn of what was lost."""
        closes = [(reader.close,) for reader in self.opened]
        descriptors = [(os.close, descriptor) for descriptor in self.descriptors]
        warns = [(reader.warn,) for reader in self.opened]
        self.opened.clear()
        self.descriptors.clear()
        pipe = self.trace_pipe
        _take_all((self.links.close,), *closes, (pipe.close,), *descriptors, (self.native.close,), *warns, (pipe.warn,))


def _take_all(*steps: tuple[Any, ...]) -> None:
    """Take every step, each a function and its arguments; raise in the end what the first of them raised."""
    failed: BaseException | None = None
    for step, *arguments in steps:
        try:
            step(*arguments)
        except BaseException as error:  # noqa: BLE001  # raised below
            failed = failed or error
    if failed is not None:
        raise failed


class Loaded:
    """An object in the kernel, for the BPF object, its tables and its functions, and closed with the last of them.

    It knows none of them, but by callbacks. Whatever these know of it is a circle like any other.
    """

    def __init__(self, native: _rtrace.Object, spec: _rtrace.ObjectSpec, *, counts_powers: bool) -> None:
        held = Held(native)
        self.native = native
        self.links = held.links
        self.readers = AllReaders(held.opened)
        self.trace_pipe = held.trace_pipe
        self.descriptors = held.descriptors
        self.counts_powers = counts_powers
        self._spec = spec
        # Also runs at Python's end.
        self._finalizer = weakref.finalize(self, held.close)

    @property
    def histograms(self) -> list[str]:
        """Names of the maps that the source declares by ``BPF_HISTOGRAM``."""
        return self._spec.histograms

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Let go of everything. Doing it again changes nothing."""
        self.readers.forget()
        self._finalizer()


class Owned:
    """A part of a BPF object, which has it in turn: it keeps what is loaded, as a circle would keep both."""

    def __init__(self, bpf: BPF) -> None:
        self._bpf = weakref.ref(bpf)
        self.loaded = bpf.loaded

    @property
    def bpf(self) -> BPF:
        """The object that it belongs to, while somebody has that; without, what is loaded stays all the same."""
        bpf = self._bpf()
        if bpf is None:
            message = f"the BPF object of {self!r} is gone: nobody has kept it"
            raise ReferenceError(message)
        return bpf
