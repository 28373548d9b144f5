"""What a BPF object holds in the kernel, and lets go of together."""

from __future__ import annotations

import os

from rtrace.bcc.links import Links
from rtrace.bcc.readers import AllReaders
from rtrace.bcc.trace_pipe import TracePipe

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace import _rtrace


class Loaded:
    """An object in the kernel with its links, readers and descriptors; knows nothing of the BPF object it serves.

    So it can be closed when that is gone.
    """

    def __init__(self, native: _rtrace.Object) -> None:
        self.native = native
        self.links = Links()
        self.readers = AllReaders()
        self.trace_pipe = TracePipe()
        self.descriptors: list[int] = []

    def detach(self) -> None:
        """Detach every program and close every reader; maps can still be read."""
        self.links.close()
        self.readers.close()
        self.trace_pipe.close()
        while self.descriptors:
            os.close(self.descriptors.pop())

    def close(self) -> None:
        """Let go of everything."""
        try:
            self.detach()
        finally:
            self.native.close()
