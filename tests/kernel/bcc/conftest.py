"""A program that sees each read of one thread, to be filled in."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.conftest import Reader

FRAME = """
%(declarations)s
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    if ((u32)bpf_get_current_pid_tgid() != %(tid)d)
        return 0;
    %(body)s
    return 0;
}
"""


@pytest.fixture
def on_read(reader: Reader) -> Iterator[Callable[..., BPF]]:
    """Return a function that runs a body in C at every read of the reader's."""
    made: list[BPF] = []

    def load(declarations: str, body: str, **facts: Any) -> BPF:
        text = FRAME % {"declarations": declarations, "body": body, "tid": reader.tid}
        made.append(BPF(text=text, **facts))
        return made[-1]

    yield load
    for bpf in made:
        bpf.close()


@pytest.fixture
def cgroups(tmp_path: Path) -> Iterator[Path]:
    """Return the root of the hierarchy of cgroups, mounted anywhere or not."""
    mounted = tmp_path / "cgroups"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)
