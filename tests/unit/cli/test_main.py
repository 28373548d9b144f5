"""The program as a whole: its commands, its help, how it fails."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rtrace.cli import run
from rtrace.cli.main import COMMANDS
from rtrace.errors import PrivilegeError, TargetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]

# Modules that cost more than all of the start, or a good part of it.
HEAVY = {"numpy", "typing", "dataclasses", "pathlib", "inspect", "logging", "shutil", "json", "rtrace.histogram"}


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_is_complete_and_fits(rtrace: Call, words: list[str]) -> None:
    status, out, err = rtrace(*words)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) < 80
    assert out.startswith("usage: rtrace ")
    if len(words) == 2:
        assert f"rtrace {words[0]}" in out.partition("examples:")[2]


def test_the_overview_has_a_line_for_each_command(rtrace: Call) -> None:
    _, out, _ = rtrace("--help")
    for command in COMMANDS:
        summary = (importlib.import_module(f"rtrace.cli.{command}").__doc__ or "").splitlines()[0]
        assert f"  {command:<13}{summary}\n" in out


def test_version(rtrace: Call) -> None:
    from rtrace import _rtrace

    assert rtrace("--version") == (0, f"rtrace {_rtrace.__version__}\n", "")


def test_no_command_is_a_usage_error_that_shows_the_help(rtrace: Call) -> None:
    status, out, err = rtrace()
    assert (status, out) == (2, "")
    assert err.startswith("usage: rtrace COMMAND")


def test_an_unknown_command(rtrace: Call) -> None:
    status, out, err = rtrace("vfsreedlat")
    assert (status, out) == (2, "")
    assert err == f"rtrace: error: no such command: `vfsreedlat`\nhint: there are {', '.join(COMMANDS)}\n"


def test_an_unknown_option(rtrace: Call) -> None:
    status, out, err = rtrace("--nope", "vfsreadlat")
    assert (status, out) == (2, "")
    assert err.startswith("rtrace: error: no such option: `--nope`\nhint: `rtrace --help` tells what there is;")


@pytest.mark.parametrize("words", [["--help"], ["trace", "--help"]])
def test_help_without_docstrings(words: list[str]) -> None:
    found = subprocess.run([sys.executable, "-OO", "-m", "rtrace", *words], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("usage: rtrace ")
    assert "None" not in found.stdout


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def attach(**_: object) -> None:
        raise error

    monkeypatch.setattr("rtrace.tools.vfsreadlat.vfsreadlat", attach)


def test_an_error_is_two_lines(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, PrivilegeError("load: not permitted", hint="run as root", errno=1, missing=["CAP_BPF"]))
    assert rtrace("vfsreadlat") == (1, "", "rtrace: error: load: not permitted\nhint: run as root\n")


def test_an_error_without_hint_is_one_line(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, TargetNotFoundError("measure pid 4: no such process"))
    assert rtrace("vfsreadlat") == (1, "", "rtrace: error: measure pid 4: no such process\n")


def test_a_bad_value_found_by_the_library_is_a_usage_error(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ValueError("pid must be positive"))
    assert rtrace("vfsreadlat") == (2, "", "rtrace: error: pid must be positive\n")


def test_an_error_of_the_system_names_the_file(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, FileNotFoundError(2, "No such file or directory", "/proc/x"))
    assert rtrace("vfsreadlat") == (1, "", "rtrace: error: `/proc/x`: No such file or directory\n")


def test_the_traceback_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, TargetNotFoundError("no"))
    monkeypatch.setenv("RTRACE_TRACEBACK", "1")
    with pytest.raises(TargetNotFoundError):
        run(["vfsreadlat"])


def test_interrupted_before_anything_was_measured(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert rtrace("vfsreadlat") == (130, "", "")


@pytest.mark.parametrize(
    "command", [["-m", "rtrace"], ["-c", "import sys; from rtrace.cli import run; sys.exit(run())"]]
)
def test_as_a_process(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("rtrace ")
    failed = subprocess.run([sys.executable, *command, "report", "/none"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("rtrace: error: `/none`: ")


def test_a_broken_pipe_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rtrace", "--help"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_no_output_at_all_is_no_failure() -> None:
    command = 'exec "$0" -m rtrace --version >&-'
    done = subprocess.run(["sh", "-c", command, sys.executable], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_nothing_heavy_is_imported_on_the_way_to_attached() -> None:
    script = """if True:
        import sys
        from rtrace.shapes import mechanisms
        def attach(options):
            print(*sys.modules)
            raise KeyboardInterrupt
        mechanisms.attach = attach
        from rtrace.cli import run
        sys.exit(run(["vfsreadlat", "1", "--by", "comm"]))
    """
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
