"""Looking at measurements while they run: what is drawn, where, and what is left at the end."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

import rtrace
from rtrace.errors import ClosedError
from rtrace.histogram import Histogram
from rtrace.liveview import screens
from rtrace.liveview.feeds import EventFeed
from rtrace.liveview.frames import Frame, Picture
from rtrace.liveview.loop import live
from rtrace.liveview.rich_screen import RichScreen
from rtrace.liveview.screens import LastOnlyScreen, PlainScreen, TerminalScreen
from rtrace.shapes.function_latency import FunctionLatency
from rtrace.shapes.owner import Owner
from rtrace.trace import FieldFacts, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DTYPE = [("ts_ns", "u8"), ("comm", "S16"), ("latency_ns", "u8")]
FIELDS = {"latency_ns": FieldFacts(unit="ns")}
RECORDED = Path(__file__).parents[2] / "notebooks/data/disksnoop.npz"
HOSTILE = "<script>\x1b[31m"


class Silent(Owner):
    """What has nothing in the kernel need not complain of not being closed."""

    def __del__(self) -> None:
        pass

    def _release(self) -> None:
        pass


class Calls(Silent, FunctionLatency):
    """A measurement that counts one call more each time it is asked."""

    def __init__(self, losses: dict[str, int] | None = None) -> None:
        Owner.__init__(self, "the measurement")
        self.asked = 0
        self._losses = losses

    def snapshot(self, *, clear: bool = False) -> Histogram:
        del clear
        self._check_open()
        self.asked += 1
        counts = np.zeros(64, np.uint64)
        counts[3] = self.asked
        return Histogram(
            counts=counts, sum_ns=9000 * self.asked, unit="us", target="vfs_read", mechanism="kprobe",
            duration=0.5 * self.asked, losses=self._losses,
        )  # fmt: skip


class Events(Silent):
    """A recording that has these batches, one for each read, and then none."""

    def __init__(self, batches: Sequence[NDArray[np.void]], losses: dict[str, int] | None = None) -> None:
        super().__init__("the recording")
        self._left = list(batches)
        self._losses = losses

    def read(self, timeout: float | None = None) -> NDArray[np.void]:
        assert timeout == 0
        self._check_open()
        return self._left.pop(0) if self._left else np.empty(0, DTYPE)

    def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
        self._check_open()
        records = np.concatenate([np.empty(0, DTYPE), *batches])
        return Trace(records=records, target=HOSTILE, duration=2.0, losses=self._losses, fields=FIELDS)


def batch(first: int, number: int, latency_ns: int = 5000) -> NDArray[np.void]:
    rows = [(place * 10**9, b"dd", latency_ns) for place in range(first, first + number)]
    return np.array(rows, DTYPE)


class Screen(PlainScreen):
    """Keeps what was drawn, and does something after each frame."""

    def __init__(self, then: Callable[[int], object] = lambda _: None) -> None:
        self.drawn: list[tuple[list[Frame], bool]] = []
        self._then = then

    def draw(self, frames: Sequence[Frame], *, ended: bool) -> None:
        self.drawn.append((list(frames), ended))
        if not ended:
            self._then(len(self.drawn))


def interrupt(at: int) -> Callable[[int], None]:
    """Interrupt this process when so many frames were drawn."""

    def check(drawn: int) -> None:
        if drawn == at:
            signal.raise_signal(signal.SIGINT)

    return check


def test_an_interrupt_ends_it_and_the_result_is_kept() -> None:
    before = signal.getsignal(signal.SIGINT)
    measurement, screen = Calls(), Screen(interrupt(3))
    (found,) = live(measurement, interval=1e-3, screen=screen)
    assert isinstance(found, Histogram)
    assert measurement.result is found
    assert found.total == measurement.asked
    assert [ended for _, ended in screen.drawn] == [False, False, False, True]
    assert not measurement.closed
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_ends_it_long_before_the_next_frame() -> None:
    (found,) = live(Calls(), interval=3600, screen=Screen(interrupt(1)))
    assert isinstance(found, Histogram)


def test_a_duration_ends_it() -> None:
    screen = Screen()
    live(Calls(), interval=3600, duration=1e-3, screen=screen)
    assert [ended for _, ended in screen.drawn] == [False, True]
    assert "s to go" in screen.drawn[0][0][0].status
    assert screen.drawn[-1][0][0].status.endswith("on average; ended, by kprobe")


def test_in_another_thread_it_cannot_be_interrupted_and_ends_with_its_time() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(live(Calls(), duration=1e-3, screen=Screen())))
    thread.start()
    thread.join()
    assert isinstance(found[0], Histogram)


def test_closing_ends_it_and_keeps_what_was_taken() -> None:
    calls, events = Calls(), Events([batch(1, 3)])

    def close(_: int) -> None:
        calls.close()
        events.close()

    first, second = live(calls, events, interval=1e-3, screen=Screen(close))
    assert isinstance(first, Histogram)
    assert first.total == 1
    assert isinstance(second, Trace)
    assert len(second) == 3
    assert events.result is second
    with pytest.raises(ClosedError):
        live(calls, screen=Screen())


def test_a_screen_that_breaks_loses_nothing() -> None:
    def fail(_: int) -> None:
        raise BrokenPipeError

    events = Events([batch(1, 3), batch(4, 2)])
    with pytest.raises(BrokenPipeError):
        live(events, screen=Screen(fail))
    assert len(events.result) == 3


def test_events_of_every_batch_are_in_the_result_and_counted() -> None:
    events = Events([batch(1, 10), batch(11, 0), batch(11, 7, latency_ns=70_000)], losses={"records_lost": 2})
    screen = Screen(interrupt(4))
    (found,) = live(events, interval=1e-3, screen=screen)
    assert isinstance(found, Trace)
    assert found["ts_ns"].tolist() == [place * 10**9 for place in range(1, 18)]
    assert found.losses == {"records_lost": 2}
    (frame,), _ = screen.drawn[-1]
    assert frame.status.startswith("17 events in 2.0 s, 8.5 per second on average")
    assert frame.lost == "lost: 2 events (2 records lost)"
    assert frame.histogram is not None
    assert (frame.histogram.total, frame.histogram.sum_ns) == (17, 10 * 5000 + 7 * 70_000)
    assert frame.latest is not None
    assert frame.latest["ts_ns"].tolist() == [place * 10**9 for place in range(6, 18)]
    # Times count from the first event of all, not from the first that is shown.
    assert "5.000000  dd" in frame.text()


def test_what_cannot_be_kept_is_counted_as_lost() -> None:
    events = Events([batch(1, 10), batch(11, 10), batch(21, 3)])
    (found,) = live(events, interval=1e-3, keep=9, screen=Screen(interrupt(4)))
    assert isinstance(found, Trace)
    assert found["ts_ns"].tolist() == [place * 10**9 for place in range(15, 24)]
    assert found.losses == {"events_not_kept": 14}


def test_events_without_latencies() -> None:
    class Hits(Events):
        def trace(self, batches: Sequence[NDArray[np.void]]) -> Trace:
            return dataclasses.replace(super().trace(batches), fields={"latency_ns": FieldFacts(unit="sectors")})

    feed = EventFeed(Hits([batch(1, 2)]), None, 10)
    feed.take()
    assert feed.frame(ended=False).histogram is None


def test_the_method_shows_one() -> None:
    screen = io.StringIO()
    sys_stdout, sys.stdout = sys.stdout, screen
    try:
        found = Events([batch(1, 2)]).live(duration=1e-3)
    finally:
        sys.stdout = sys_stdout
    assert isinstance(found, Trace)
    # No terminal: the last frame alone.
    assert screen.getvalue().count("ended") == 1
    assert "\x1b" not in screen.getvalue()


@pytest.mark.parametrize("options", [{"interval": 0}, {"duration": -1}, {"keep": 0}, {"interval": float("nan")}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        live(Calls(), **options)
    with pytest.raises(ValueError, match="no measurement"):
        rtrace.live()
    with pytest.raises(TypeError, match="show 5: it is no running measurement"):
        rtrace.live(5)  # type: ignore[arg-type]


def frames(losses: dict[str, int] | None = None) -> list[Frame]:
    screen = Screen()
    live(Calls(losses), Events([batch(1, 3)], losses), duration=1e-3, interval=3600, screen=screen)
    return screen.drawn[0][0]


class TestScreens:
    """Where it is drawn."""

    def test_html(self) -> None:
        html = Picture(frames({"records_lost": 2}), "Interrupt the kernel")._repr_html_()
        assert "<script>" not in html
        assert html.count('role="alert"') == 2
        assert html.count("<svg") == 2
        assert "Interrupt the kernel" in html
        # One style sheet for all of them.
        assert html.count("<style>") == 1

    def test_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 8)))
        file = io.StringIO()
        screen = TerminalScreen(file)
        screen.draw(frames({"records_lost": 2}), ended=False)
        screen.draw(frames(), ended=True)
        first, second = file.getvalue().split("\x1b[7F")
        lines = first.removeprefix("\x1b[J").splitlines()
        assert len(lines) == 7
        assert max(map(len, lines)) < 60
        assert lines[1] == "lost: 2 calls (2 records lost)"
        assert lines[-1] == "Hit Ctrl-C to end."
        # The last time all of it.
        assert second.startswith("\x1b[Jvfs_read: 1 call in 0.5 s")
        assert "2.000000  dd" in second
        # Names stay on their line and move no cursor.
        assert "\x1b[31m" not in file.getvalue()

    def test_rich(self) -> None:
        file = io.StringIO()
        console = Console(file=file, width=80, force_terminal=True, color_system=None, highlight=False)
        with RichScreen(console) as screen:
            screen.draw(frames({"records_lost": 2}), ended=False)
            screen.draw(frames({"records_lost": 2}), ended=True)
        shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", file.getvalue())
        last = shown[shown.rindex("vfs_read: 1 call") :]
        assert re.search("8 to 16 µs +1 +100.0% +█{32} +p50 p90 p99", last)
        assert "lost: 2 calls (2 records lost)" in last
        assert "2.000000   dd" in last
        assert "Hit Ctrl-C to end." not in last
        assert HOSTILE not in file.getvalue()

    def test_without_an_output(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdout", None)
        with Calls() as calls:
            (found,) = rtrace.live(calls, duration=0.001)
        assert isinstance(found, Histogram)
        assert found.total == calls.asked

    def test_which(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert isinstance(screens.choose(), LastOnlyScreen)
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(screens.choose(), RichScreen)
        monkeypatch.setitem(sys.modules, "rich.live", None)
        assert isinstance(screens.choose(), TerminalScreen)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(screens.choose(), LastOnlyScreen)
        monkeypatch.setattr(screens, "in_notebook", lambda: True)
        assert isinstance(screens.choose(), screens.NotebookScreen)

    @pytest.mark.parametrize("width", [40, 80, 100, 200])
    def test_no_number_is_cut(self, width: int) -> None:
        trace = Trace.load(RECORDED)[:20]
        console = Console(file=io.StringIO(), width=width, record=True)
        with RichScreen(console) as screen:
            screen.draw([Frame("f", "status", latest=trace, first_ns=int(trace["ts_ns"][0]))], ended=True)
        text = console.export_text()
        assert "…" not in text
        assert text.count("\n") > len(trace)
        assert max(map(len, text.splitlines())) <= width

    def test_a_split_histogram_has_a_table_of_its_parts(self) -> None:
        counts = np.zeros(64, np.uint64)
        counts[0] = 1
        groups = {f"name{place}": Histogram(counts=counts, sum_ns=1, unit="us", target="f") for place in range(12)}
        hist = Histogram(counts=12 * counts, sum_ns=12, unit="us", target="f", by="comm", groups=groups)
        text = Frame("f", "status", histogram=hist).text()
        assert "comm   calls     p50     p99\nname0      1  0 to 2  0 to 2\n" not in text
        assert re.search(r"comm +calls +p50 +p99\nname0 +1 +0 to 2 µs +0 to 2 µs\n", text)
        assert text.endswith("and 2 more")
        console = Console(file=io.StringIO(), width=100, record=True)
        with RichScreen(console) as screen:
            screen.draw([Frame("f", "status", histogram=hist)], ended=True)
        assert "and 2 more" in console.export_text()
