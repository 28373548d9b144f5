"""In Jupyter and IPython: ``%load_ext rtrace`` brings ``%%bpf``, a cell whose text is a program in bcc's C."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Register ``%%bpf``; what IPython calls for ``%load_ext``."""
    from rtrace.jupyter.bpf_magic import register  # noqa: PLC0415  # not before it is asked for

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take ``%%bpf`` away; what IPython calls for ``%unload_ext``. Programs stay with the names that hold them."""
    shell.magics_manager.magics["cell"].pop("bpf", None)
