"""The documentation: its Python runs on recorded data, its commands are ones that exist, its reference is complete."""

from __future__ import annotations

import inspect
import pkgutil
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import rtrace
from rtrace.cli import arguments
from rtrace.cli.main import main
from rtrace.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DATA = ROOT / "notebooks/data"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line of a shell: with a prompt, or in a block of its own that has none.
PROMPT = re.compile(r"^(?:\w*\$ )(.*)$", re.MULTILINE)
COMMANDS = ("rtrace", "make", "pip", "python3", "jupyter")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(python: bool) -> list[Any]:  # noqa: FBT001
    """Return the fenced blocks of every page that are Python, or those that are not."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in FENCED.finditer(text):
            if (block[1] == "python") == python:
                line = text[: block.start()].count("\n") + 2
                found.append(pytest.param(block[2], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


class Parsed(Exception):  # noqa: N818  # not an error: it was understood
    """A command line was taken."""


def shell_lines() -> list[Any]:
    """Return every line of a shell that a page shows."""
    found = []
    for block in blocks(python=False):
        text = block.values[0]
        lines = PROMPT.findall(text) or [line for line in text.splitlines() if line.split(" ")[0] in COMMANDS]
        found += [pytest.param(line, id=f"{block.id} {line[:40]}") for line in lines]
    return found


def words_of(line: str) -> list[list[str]]:
    """Return the commands of a line, without what only the shell knows."""
    words = shlex.split(line, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word in {"&&", "|"}:
            commands.append([])
        elif word != "sudo":
            commands[-1].append(word)
    return commands


@pytest.mark.parametrize("line", shell_lines())
def test_commands_that_are_shown_exist(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = arguments.Parser.parse_args

    def parse_args(parser: arguments.Parser, *words: Any) -> None:
        taken(parser, *words)
        raise Parsed

    monkeypatch.setattr(arguments.Parser, "parse_args", parse_args)
    for command, *words in words_of(line):
        match command, words:
            case "rtrace", ["--help" | "--version"]:
                pass
            case "rtrace", _:
                # `main` prints what is wrong with a line, which pytest shows.
                with pytest.raises(Parsed):
                    main(words)
            case "make", targets:
                assert TARGETS.issuperset(targets)
            case "pip", ["install", what]:
                assert set(re.findall(r"\[(\w+)\]", what)) <= set(EXTRAS)
            case "python3", ["-c", code]:
                compile(code, "<docs>", "exec")
            case "python3", ["-m", "rtrace.bcc", *_]:
                pass
            case "jupyter", ["lab", folder]:
                assert (ROOT / folder).is_dir()
            case _:
                pytest.fail(f"nobody knows whether there is such a command: {line}")


def test_the_check_of_commands_can_fail() -> None:
    with pytest.raises(CommandError):
        arguments.Parser("trace", "", "").parse_args(["--no-such-option"])
    assert any("--filter" in line.values[0] for line in shell_lines())


def recorded(name: str) -> Any:
    """Return a recorded result; the names of its groups are those that the pages use."""
    if name == "disksnoop":
        return rtrace.Trace.load(DATA / "disksnoop.npz")
    facts = rtrace.Histogram.load(DATA / "vfsreadlat_kprobe.npz").to_dict()
    facts["groups"][0]["key"], facts["groups"][1]["key"] = "postgres", "TIMER"
    return rtrace.Histogram.from_dict(facts)


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let everything that measures return what was recorded; signatures and methods stay the real ones."""
    monkeypatch.chdir(tmp_path)

    def session(real: type, result: Any) -> Any:
        running = mock.create_autospec(real, instance=True)
        running.__enter__.return_value = running
        if hasattr(running, "snapshot"):
            running.snapshot.return_value = result
        else:
            running.__iter__.return_value = [result.records]
        return running

    counted = recorded("vfsreadlat")

    def stand_in(name: str, kind: type, recorded: Any) -> None:
        def measure(
            *_: Any, duration: float | None = None, interval: float | None = None, output: str = "records", **__: Any
        ) -> Any:
            real, result = (kind, recorded) if output == "records" else (rtrace.TracepointLatency, counted)
            if interval is not None:
                return iter([result, result])
            return session(real, result) if duration is None else result

        monkeypatch.setattr(rtrace, name, mock.create_autospec(getattr(rtrace, name), side_effect=measure))

    for name in ("vfsreadlat", "function_latency"):
        stand_in(name, rtrace.FunctionLatency, counted)
    for name in ("disksnoop", "tracepoint_events", "tracepoint_latency"):
        stand_in(name, rtrace.Recording, recorded("disksnoop"))
    monkeypatch.setattr(rtrace, "live", mock.create_autospec(rtrace.live))
    table = mock.Mock(**{"read.return_value": recorded("disksnoop").records})
    bpf = mock.create_autospec(rtrace.BPF)
    bpf.return_value.__getitem__.side_effect = lambda _: table
    monkeypatch.setattr(rtrace, "BPF", bpf)


@pytest.mark.parametrize("code", blocks(python=True))
@pytest.mark.usefixtures("measuring")
def test_python_that_is_shown_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "<docs>", "exec"), {"rtrace": rtrace})  # noqa: S102  # our own pages
    capsys.readouterr()


@pytest.mark.usefixtures("measuring")
@pytest.mark.parametrize("code", ["rtrace.function_latency()", "rtrace.vfsreadlat().no_such()", "rtrace.no_such"])
def test_the_check_of_python_can_fail(code: str) -> None:
    with pytest.raises((TypeError, AttributeError)):
        exec(code, {"rtrace": rtrace})  # noqa: S102


def references() -> Iterator[object]:
    """Yield what the pages of the reference document; a module with all that is in it."""
    for page in (ROOT / "docs/reference").glob("*.md"):
        for path in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            found = pkgutil.resolve_name(path)
            yield from vars(found).values() if inspect.ismodule(found) else [found]


@pytest.mark.parametrize("name", rtrace.__all__)
def test_the_reference_has_every_public_name(name: str) -> None:
    assert any(found is getattr(rtrace, name) for found in references())


def test_the_readme_fits_a_page_and_a_bit() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for lesson in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert f"notebooks/{lesson.name}" in text, lesson.name
    for page in re.findall(r"\]\(((?:docs|notebooks)/[^)]+)\)", text):
        assert (ROOT / page).exists()
