"""``-o``: what is refused before anything is measured, what is written where, and what is printed beside it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from rtrace.histogram import Histogram
from rtrace.trace import Trace
from tests.unit.cli.conftest import Measurement, Recording, make, make_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]
    Prepare = Callable[..., list[Recording]]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices")
ONCE = ["vfsreadlat", "1ms", "1"]


@pytest.fixture
def null(tmp_path: Path) -> Path:
    """Return a device of our own that takes everything."""
    path = tmp_path / "null"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    return path


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return a device of our own that is always full."""
    path = tmp_path / "full"
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    return path


@as_root
def test_a_device_stays_one(rtrace: Call, made: list[Measurement], recorded: Prepare, null: Path) -> None:
    recorded(make_events(2))
    assert rtrace(*ONCE, "-o", str(null))[0] == 0
    assert rtrace("trace", "a:b", "-o", str(null))[0] == 0
    assert stat.S_ISCHR(null.stat().st_mode)
    assert (len(made), os.listdir(null.parent)) == (1, ["null"])


@pytest.mark.parametrize("words", [ONCE, ["trace", "a:b"]])
def test_a_pipe_gets_the_file(
    rtrace: Call, made: list[Measurement], recorded: Prepare, tmp_path: Path, words: list[str]
) -> None:
    recorded(make_events(2))
    pipe, got = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert rtrace(*words, "-o", str(pipe))[0] == 0
    reader.join()
    file = tmp_path / "got.npz"
    file.write_bytes(got[0])
    assert Histogram.load(file).total == 3 if made else len(Trace.load(file)) == 2


@pytest.mark.parametrize("file", ["reads", "reads.parquet", "reads.csv"])
def test_a_histogram_under_a_name_of_something_else(rtrace: Call, made: list[Measurement], file: str) -> None:
    said = f"argument -o/--output: '{file}' does not end in .npz\nhint: the end of its name says how the result is"
    for words in (ONCE, ["latency", "a:b", "c:d", "--key", "k", "--histogram"]):
        status, out, err = rtrace(*words, "-o", file)
        assert (status, out, made) == (2, "", [])
        assert err.startswith(f"rtrace: error: {said}")


def test_events_under_a_name_of_something_else(rtrace: Call, recorded: Prepare) -> None:
    made = recorded()
    status, out, err = rtrace("trace", "a:b", "-o", "x.txt")
    assert (status, out, made) == (2, "", [])
    assert err.startswith("rtrace: error: argument -o/--output: 'x.txt' does not end in .npz, .parquet, .csv\nhint: ")


def test_what_is_printed_goes_there(rtrace: Call, made: list[Measurement], recorded: Prepare, tmp_path: Path) -> None:
    recordings = recorded()
    file = tmp_path / "both.npz"
    kept = os.dup(1)
    with file.open("wb") as output:
        os.dup2(output.fileno(), 1)
    try:
        for words in (ONCE, [*ONCE, "--json"], ["trace", "a:b", "--json"], ["trace", "a:b", "--live"]):
            for path in (str(file), "/proc/self/fd/1"):
                assert rtrace(*words, "-o", path) == (
                    1, "", f"rtrace: error: save to `{path}`: what is printed goes there\n",
                )  # fmt: skip
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert (made, recordings) == ([], [])


def test_a_socket_is_told_before(rtrace: Call, made: list[Measurement], tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert rtrace(*ONCE, "-o", path) == (1, "", f"rtrace: error: save to `{path}`: it is a socket\n")
    assert made == []


@pytest.mark.parametrize("way", ["--json", "--csv"])
@pytest.mark.parametrize("name", ["made.npz", "made.csv"])
def test_events_are_printed_and_saved(rtrace: Call, recorded: Prepare, tmp_path: Path, name: str, way: str) -> None:
    file = tmp_path / name
    recorded(make_events(2), make_events(1, 2), lost={"records_lost": 1})
    status, out, err = rtrace("trace", way, "-o", str(file), "a:b")
    assert (status, len(out.splitlines())) == (0, 3 + (way == "--csv"))
    assert err.endswith(f" per second; lost: 1 event (1 record lost); saved to {file}\n")
    if name.endswith(".npz"):
        found = Trace.load(file)
        assert (found["bytes"].tolist(), found.lost, found.duration < 99) == ([0, 512, 1024], 1, True)
    else:
        assert len(file.read_text().splitlines()) == 4


def test_live_events_are_saved(
    rtrace: Call, recorded: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded()
    result = Trace(records=make_events(4), target="block:made_up")
    monkeypatch.setattr("rtrace.cli.event_run.watch", lambda *_: result)
    assert rtrace("trace", "--live", "-o", str(tmp_path / "made.npz"), "a:b")[0] == 0
    assert Trace.load(tmp_path / "made.npz") == result


def test_events_are_saved_though_nobody_reads_them(
    rtrace: Call, recorded: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(make_events(2))

    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("rtrace.cli.event_lines.JsonLines.lines", broken)
    monkeypatch.setattr("rtrace.cli.main.discard_output", lambda: None)
    assert rtrace("trace", "--json", "-o", str(tmp_path / "made.npz"), "a:b")[0] == 141
    assert len(Trace.load(tmp_path / "made.npz")) == 2
    assert made[0].closed


def test_report_says_what_it_reads(rtrace: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Trace(records=make_events(1), target="a:b").to_csv("x.csv")
    make().save("x.npz")
    (tmp_path / "x.npz").rename("x.parquet")
    for name in ("x.csv", "x.parquet"):
        status, out, err = rtrace("report", name)
        assert (status, out) == (1, "")
        assert err.endswith("\nhint: FILE is what -o saved, as .npz or .parquet; .csv is for other programs\n")


def run_closed(*words: str, closed: int) -> subprocess.CompletedProcess[bytes]:
    """Run a command of a made-up measurement without one of its standard streams."""
    script = (
        "import sys; from rtrace.cli import run; import rtrace.tools.vfsreadlat as tool\n"
        "from tests.unit.cli.conftest import Measurement\n"
        "tool.vfsreadlat = lambda **options: Measurement(**options)\n"
        f"sys.exit(run({list(words)!r}))\n"
    )
    shell = ["/bin/sh", "-c", f'exec "$@" {closed}>&-', "sh"]
    return subprocess.run([*shell, sys.executable, "-c", script], capture_output=True, check=False)


@pytest.mark.parametrize("words", [ONCE, [*ONCE, "--json"]])
def test_without_an_output(words: list[str]) -> None:
    done = run_closed(*words, closed=1)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_errors_never_stand_among_the_data() -> None:
    done = run_closed("vfsreadlat", "--nope", closed=2)
    assert (done.returncode, done.stdout) == (2, b"")


@as_root
@pytest.mark.parametrize("words", [["--help"], ["vfsreadlat", "--help"], ["list", "--help"], ["--version"]])
def test_help_that_cannot_be_written(full: Path, words: list[str]) -> None:
    with full.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "rtrace", *words], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "rtrace: error: No space left on device\n")
