"""Lines of the trace pipe, taken apart; the pipe itself stands in a FIFO."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import trace_line, trace_pipe
from rtrace.errors import LostEventsWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = b"              dd-14228 [002] d... 22592556.392825: bpf_trace_printk: 8192\n"
FIELDS = (b"dd", 14228, 2, b"d...", 22592556.392825, b"8192")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (PLAIN.rstrip(), FIELDS),
        (b"              dd-14228 [002] d... 22592556.392825: 0x00000001: 8192", FIELDS),
        (
            b"  a-1 [x] b: c-7       (   1234) [011] d..31     5.000001: bpf_trace_printk: open: a: b",
            (b"a-1 [x] b: c", 7, 11, b"d..31", 5.000001, b"open: a: b"),
        ),
        (b"           <...>-1 [000] .N.1.  1.5: bpf_trace_printk: ", (b"<...>", 1, 0, b".N.1.", 1.5, b"")),
        (b"  dd-14228 [002] d... 1.5: sched_switch: prev_comm=dd", None),
        (b"CPU:3 [LOST 41 EVENTS]", None),
        (b"", None),
    ],
)
def test_a_line_in_parts(line: bytes, fields: object) -> None:
    assert trace_line.parse(line) == fields


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[trace_pipe.TracePipe, int]]:
    os.mkfifo(tmp_path / "trace_pipe")
    monkeypatch.setattr(trace_pipe, "tracefs", lambda: str(tmp_path))
    keep = os.open(tmp_path / "trace_pipe", os.O_RDWR)
    reading = trace_pipe.TracePipe()
    yield reading, keep
    reading.close()
    os.close(keep)


def test_fields_pass_over_what_programs_did_not_print(pipe: tuple[trace_pipe.TracePipe, int]) -> None:
    reading, writer = pipe
    assert reading.fields(nonblocking=True) == (None,) * 6
    os.write(writer, b"CPU:3 [LOST 41 EVENTS]\nnonsense\n" + PLAIN[:30])
    assert reading.fields(nonblocking=True) == (None,) * 6
    os.write(writer, PLAIN[30:] + PLAIN)
    assert reading.fields(nonblocking=False) == FIELDS
    assert reading.readline(nonblocking=False) == PLAIN.rstrip()
    assert reading.readline(nonblocking=True) is None
    with pytest.warns(LostEventsWarning, match="41 lines of the trace pipe were lost"):
        reading.close()
    reading.close()
