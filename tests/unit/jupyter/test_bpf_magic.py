"""The line of ``%%bpf``, what a refused cell shows, and that nothing of IPython is loaded before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import rtrace
from rtrace._rtrace import compile_c
from rtrace.errors import CompileError, RtraceError, VerifierError
from rtrace.jupyter.bpf_magic import Options, parse
from rtrace.jupyter.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", Options("b", [], debug=False)),
        ("reads", Options("reads", [], debug=False)),
        ("--debug", Options("b", [], debug=True)),
        ("--debug reads", Options("reads", [], debug=True)),
        ("reads --cflags -DA=1 -Wall", Options("reads", ["-DA=1", "-Wall"], debug=False)),
        ('--cflags="-DA=1 -Wall" --debug', Options("b", ["-DA=1", "-Wall"], debug=True)),
        ("--cflags '-DTEXT=\"a b\"'", Options("b", ["-DTEXT=a b"], debug=False)),
        ("größe --cflags -I include", Options("größe", ["-I", "include"], debug=False)),
    ],
)
def test_the_line(line: str, options: Options) -> None:
    assert parse(line) == options


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a b", "not the name of a variable: 'a b'"),
        ("1st", "not the name of a variable: '1st'"),
        ("class", "not the name of a variable: 'class'"),
        ("--cflag -DA", "not the name of a variable"),
        ("b --cflags", "--cflags without a flag"),
        ("b --cflags 'open", "No closing quotation"),
    ],
)
def test_a_line_that_is_wrong(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(line)


def refused(source: str) -> Refusal:
    with pytest.raises(CompileError) as caught:
        compile_c(source)
    return Refusal(caught.value, source)


def test_a_refused_cell_shows_the_line_with_a_caret() -> None:
    # As the magic has it: the line of the magic is the first.
    refusal = refused("\nint f(struct pt_regs *ctx, struct file *file)\n{\n\treturn file->no_such < 1;\n}\n")
    title = "line 4, column 15: no member named 'no_such' in 'struct file'"
    assert refusal.headline() == [f"CompileError: {title}"]
    assert repr(refusal) == (f"CompileError: {title}\n    4 | \treturn file->no_such < 1;\n      | \t             ^")
    html = refusal._repr_html_()
    assert "<pre>    4 | \treturn file-&gt;no_such &lt; 1;\n      | \t             ^</pre>" in html
    assert html.count('role="alert"') == 1


def test_a_caret_stands_below_its_character_and_not_its_byte() -> None:
    assert repr(refused("/* größer */ int f(void *ctx) { return nothing; }")).endswith(
        "    1 | /* größer */ int f(void *ctx) { return nothing; }\n      |                                        ^"
    )


def test_every_error_is_shown_and_how_macros_unfold_is_not() -> None:
    program = "int f(void *ctx)\n{\n    dist.increment(bpf_log2l(first));\n    return second;\n}\n"
    text = repr(refused(f"\nBPF_HISTOGRAM(dist);\n{program}"))
    assert "line 5, column 30: use of undeclared identifier 'first'" in text
    assert "    6 |     return second;\n" in text
    assert "expanded from macro" not in text


def test_a_missing_tracepoint_has_its_hint() -> None:
    refusal = refused("TRACEPOINT_PROBE(no_such, tracepoint) { return args->a; }")
    assert repr(refusal).endswith("\nhint: this kernel has no tracepoint `no_such:tracepoint`")
    assert "<div>hint: this kernel has no tracepoint `no_such:tracepoint`</div>" in refusal._repr_html_()


def test_errors_without_a_place() -> None:
    error = RtraceError("attach `<b>`: gone", hint="wait")
    refusal = Refusal(error, "")
    assert repr(refusal) == "RtraceError: attach `<b>`: gone\nhint: wait"
    assert "attach `&lt;b&gt;`: gone" in refusal._repr_html_()
    flag = CompileError("compile `<text>`: bad flag", diagnostics=[{"file": "", "line": 0, "column": 0,
                        "severity": "error", "message": "bad flag"}])  # fmt: skip
    assert repr(Refusal(flag, "int a;")) == "CompileError: bad flag"


def test_the_verifiers_log_can_be_unfolded() -> None:
    log = ["0: (b7) r0 = 0", "R1 !read_ok <x>"]
    refusal = Refusal(VerifierError("load program `f`", log=log), "")
    assert repr(refusal) == "VerifierError: load program `f`: R1 !read_ok <x> (1 line omitted)"
    assert "<details><summary>the verifier&#x27;s whole log</summary>" in refusal._repr_html_()
    assert "<pre>0: (b7) r0 = 0\nR1 !read_ok &lt;x&gt;</pre>" in refusal._repr_html_()


def test_ipython_is_not_imported_before_it_asks() -> None:
    code = (
        "import sys; import rtrace.jupyter; from rtrace.jupyter import bpf_magic; rtrace.load_ipython_extension; "
        "print('IPython' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"


def test_the_extension_is_documented() -> None:
    for module in (rtrace, rtrace.jupyter):
        assert module.load_ipython_extension.__doc__
        assert module.unload_ipython_extension.__doc__
