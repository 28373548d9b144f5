"""What programs print, read by those who loaded them, and by several at once."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc.discovery import tracefs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtrace.bcc import BPF
    from tests.kernel.conftest import Reader

# More than the kernel ever gives out.
NO_PID = (1 << 22) + 1


def instances() -> list[str]:
    return [name for name in os.listdir(os.path.join(tracefs(), "instances")) if name.startswith("rtrace-")]


def next_own(b: BPF) -> bytes | None:
    """Return the next of our own messages: the pipe is everybody's."""
    while (message := b.trace_fields()[5]) is not None and not message.startswith(b"rtrace "):
        pass
    return message


def test_what_was_printed_before_is_not_read(on_read: Callable[..., BPF], reader: Reader) -> None:
    with on_read("", 'bpf_trace_printk("rtrace old\\n");'):
        reader.read(3)
    # The trace buffer's clock and ours are given this difference.
    time.sleep(0.2)
    with on_read("", 'bpf_trace_printk("rtrace new\\n");') as b:
        reader.read(2)
        assert [next_own(b), next_own(b)] == [b"rtrace new"] * 2


@pytest.fixture
def taken() -> Iterator[None]:
    """Have the trace pipe read by someone else: us, unless there is someone already."""
    path = os.path.join(tracefs(), "trace_pipe")
    file = None
    with suppress(OSError):
        file = open(path, "rb", buffering=0)  # for the whole test
    try:
        os.close(os.open(path, os.O_RDONLY))
        pytest.skip("on this kernel readers of the trace pipe take each other's lines")
    except OSError as error:
        assert error.errno == errno.EBUSY
        yield
    finally:
        if file is not None:
            file.close()


@pytest.mark.usefixtures("taken")
def test_a_second_reader_has_lines_of_its_own(on_read: Callable[..., BPF], reader: Reader) -> None:
    os.mkdir(os.path.join(tracefs(), "instances", f"rtrace-{NO_PID}-0"))
    before = set(instances())
    with on_read("", 'bpf_trace_printk("rtrace %d\\n", 7);') as b, on_read("", "") as c:
        assert b.trace_fields(nonblocking=True) == (None,) * 6
        assert c.trace_readline(nonblocking=True) is None
        ours = {f"rtrace-{os.getpid()}-0", f"rtrace-{os.getpid()}-1"}
        assert set(instances()) - before == ours
        assert f"rtrace-{NO_PID}-0" not in instances()
        reader.read(3)
        assert [next_own(b) for _ in range(3)] == [b"rtrace 7"] * 3
        assert [next_own(c) for _ in range(3)] == [b"rtrace 7"] * 3
    assert not ours & set(instances())


@pytest.mark.usefixtures("taken")
def test_a_child_leaves_its_parents_reader_alone(on_read: Callable[..., BPF], reader: Reader) -> None:
    with on_read("", 'bpf_trace_printk("rtrace %d\\n", 7);') as b:
        assert b.trace_fields(nonblocking=True) == (None,) * 6
        child = os.fork()
        if not child:
            b.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        reader.read(1)
        assert next_own(b) == b"rtrace 7"
