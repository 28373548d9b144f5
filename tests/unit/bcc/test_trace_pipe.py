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


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (PLAIN, 22592556.392825),
        (b"  dd-14228 [002] d... 1.5: sched_switch: prev_comm=[1] 2.5: dd", 1.5),
        (b"  dd [1] a 7.5: x-14228 (  12) [002] d..31 1.5: bpf_trace_printk: [3] d 2.5: x", 1.5),
        (b"  dd-14228 [002] d... 1500: sys_close: counted, not timed", None),
        (b"CPU:3 [LOST 41 EVENTS]", None),
        (b"", None),
    ],
)
def test_the_time_of_a_line(line: bytes, seconds: float | None) -> None:
    assert trace_line.seconds(line) == seconds


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
        reading.warn()
    reading.close()


def test_what_is_older_than_the_object_is_passed_over(tmp_path: Path, pipe: tuple[trace_pipe.TracePipe, int]) -> None:
    (tmp_path / "per_cpu" / "cpu0").mkdir(parents=True)
    (tmp_path / "per_cpu" / "cpu0" / "stats").write_text("entries: 7\nnow ts: 1000.500000\n")
    reading, writer = pipe
    os.write(writer, b"left of a message\n")
    assert reading.readline(nonblocking=True) == b"left of a message"
    old, new = (b"  dd-1 [00%d] d... %f: bpf_trace_printk: 8192", b"  dd-1 [00%d] d... %f: sched_switch: x")
    stale = [b"CPU:0 [LOST 9 EVENTS]", old % (0, 1.5), b"", old % (1, 999.5), b"", b"CPU:1 [LOST 41 EVENTS]"]
    fresh = [new % (1, 1000.5), b"CPU:0 [LOST 1 EVENTS]", old % (0, 1.5)]
    os.write(writer, b"\n".join([*stale, *fresh, b""]))
    lines = [reading.readline(nonblocking=True) for _ in range(5)]
    assert lines == [stale[-1], *fresh, None]


def test_only_losses_of_ones_own_time_are_told(tmp_path: Path, pipe: tuple[trace_pipe.TracePipe, int]) -> None:
    (tmp_path / "per_cpu" / "cpu0").mkdir(parents=True)
    (tmp_path / "per_cpu" / "cpu0" / "stats").write_text("now ts: 1000.500000\n")
    reading, writer = pipe
    line = b"  dd-1 [000] d... %f: bpf_trace_printk: 8192\n"
    os.write(writer, b"CPU:0 [LOST 41 EVENTS]\n" + line % 2 + line % 1000.5 + b"CPU:0 [LOST 3 EVENTS]\n" + line % 1001)
    assert [reading.fields(nonblocking=True)[4] for _ in range(3)] == [1000.5, 1001, None]
    with pytest.warns(LostEventsWarning, match="^3 lines of the trace pipe were lost"):
        reading.warn()


@pytest.mark.parametrize("clock", ["now ts: 1000", ""])
def test_nothing_is_passed_over_where_time_is_counted_otherwise(
    tmp_path: Path, pipe: tuple[trace_pipe.TracePipe, int], clock: str
) -> None:
    (tmp_path / "per_cpu" / "cpu0").mkdir(parents=True)
    (tmp_path / "per_cpu" / "cpu0" / "stats").write_text(clock)
    reading, writer = pipe
    os.write(writer, PLAIN)
    assert reading.readline(nonblocking=True) == PLAIN.rstrip()


@pytest.mark.parametrize(
    ("size", "left"), [(b"7 (expanded: 1408)\n", b"7 (expanded: 1408)\n1408"), (b"1410\n", b"1410\n")]
)
def test_a_buffer_that_is_not_used_yet_is_made_larger(
    tmp_path: Path, pipe: tuple[trace_pipe.TracePipe, int], size: bytes, left: bytes
) -> None:
    (tmp_path / "buffer_size_kb").write_bytes(size)
    reading, _ = pipe
    assert reading.readline(nonblocking=True) is None
    assert (tmp_path / "buffer_size_kb").read_bytes() == left
