"""A real Jupyter kernel, driven over its own protocol as a front end drives it."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.manager import KernelManager

from tests.kernel import kernel_objects

if TYPE_CHECKING:
    from collections.abc import Callable

# Only to end a test that hangs: an emulated machine takes a minute to start a kernel.
PATIENCE = 240.0


@dataclass
class Outcome:
    """What one cell did."""

    status: str
    error: str
    text: str
    displays: list[dict[str, Any]] = field(default_factory=list)
    """Contents of `display_data` and `update_display_data`, in their order."""
    result: str = ""
    """What the last expression is, as text."""
    traceback: list[str] = field(default_factory=list)
    """Lines that an error shows."""


class Kernel:
    """A kernel and its client; a context manager that ends it."""

    def __init__(self) -> None:
        self._manager = KernelManager()
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def run(self, code: str, *, at_display: dict[int, Callable[[], object]] | None = None) -> Outcome:
        """Run a cell to its end; call what `at_display` has for the first, second... thing that it displays."""
        message = self._client.execute(code)
        return self.finish(message, at_display or {})

    def finish(self, message: str, at_display: dict[int, Callable[[], object]]) -> Outcome:
        """Wait for the end of a cell."""
        found = Outcome("", "", "")
        deadline = time.monotonic() + PATIENCE
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"the cell did not end; so far: {found}"
            try:
                heard = self._client.get_iopub_msg(timeout=left)
            except queue.Empty:
                continue
            if heard["parent_header"].get("msg_id") != message:
                continue
            kind, content = heard["msg_type"], heard["content"]
            if kind == "stream":
                found.text += content["text"]
            elif kind in {"display_data", "update_display_data"}:
                found.displays.append(content)
                at_display.get(len(found.displays), lambda: None)()
            elif kind == "execute_result":
                found.result = content["data"]["text/plain"]
            elif kind == "error":
                found.error = f"{content['ename']}: {content['evalue']}"
                found.traceback = content["traceback"]
            elif kind == "status" and content["execution_state"] == "idle":
                break
        found.status = self._reply(message, deadline)
        return found

    def _reply(self, message: str, deadline: float) -> str:
        while True:
            reply = self._client.get_shell_msg(timeout=max(0.0, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message:
                return str(reply["content"]["status"])

    def begin(self, code: str) -> str:
        """Send a cell and do not wait; return its number for `finish`."""
        return str(self._client.execute(code))

    def wait_for_display(self, message: str, number: int) -> None:
        """Wait until a cell that was begun has displayed so many things."""
        deadline = time.monotonic() + PATIENCE
        while number:
            heard = self._client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if heard["parent_header"].get("msg_id") == message:
                assert heard["msg_type"] != "error", heard["content"]
                number -= heard["msg_type"] in {"display_data", "update_display_data"}

    def programs(self) -> set[int]:
        """Return the ids of the programs that the kernel's process holds."""
        provisioner: Any = self._manager.provisioner
        return kernel_objects.held_by(provisioner.process.pid)["programs"]

    def interrupt(self) -> None:
        """Do what the stop button does."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """Do what the restart button does."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=PATIENCE)

    def __enter__(self) -> Self:
        """Return itself; it runs already."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
