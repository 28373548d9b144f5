"""Programs that do not compile: errors with a place in the user's own text, whatever the text is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrace._rtrace import compile_c, find_compiler
from rtrace.errors import CompileError, NotSupportedError

FIRST = "struct pt_regs *ctx, struct file *file"


def refused(source: str, **options: object) -> CompileError:
    with pytest.raises(CompileError) as caught:
        compile_c(source, **options)  # type: ignore[arg-type]
    return caught.value


# Where the error is has a mark in front.
PLACES = [
    "¦nonsense",
    "int f(void *ctx)\n{ ¦no_such_function(); return 0; }",
    # Behind what rtrace puts in, on the same line.
    f"int f({FIRST}) {{ return ¦nothing; }}",
    "static int f(int a) { ¦nothing(a); return 0; }",
    "#include <linux/fs.h>\nint f(void *ctx)\n{ return ¦g; }",
    "BPF_PERF_OUTPUT(e);\nint f(void *c) { int d = 0; e.perf_submit(c, &d, ¦a); return 0; }",
    "int f(void *ctx) { ¦h.lookup(&ctx); return 0; }",
    "BPF_HASH(h);\nint f(void *ctx) { h.¦no_such_method(1); return 0; }",
    "int f(void *ctx) { return ((struct no_such *)ctx)¦->x; }",
    "int f(void *ctx) ¦{ return 0;\n",
    "int f(void *ctx) ¦/* never ends",
    '#define A(x) x\nint f(void *ctx) { ¦A("abc); return 0; }',
    '\n  ¦#include "nowhere.h"\n',
    "int a; ¦\0",
    "{" * 256 + "¦" + "{" * 44,
    "int f(void *c) { return " + "(" * 255 + "¦" + "(" * 45,
    "¦" + "{" * (10 << 20),
    "int f(void *c, int a, int b, int d, int e, int g, int h, ¦int i) { return 0; }",
    "int f(struct pt_regs *ctx, ¦struct file *) { return 0; }",
    "¦BPF_HASH(h, struct no_such_key);",
]


@pytest.mark.parametrize("marked", PLACES, ids=range(len(PLACES)))
def test_errors_have_the_place_in_the_users_text(marked: str) -> None:
    before, behind = marked.split("¦")
    first = next(said for said in refused(before + behind).diagnostics if said["severity"] == "error")
    line_start = before.rfind("\n") + 1
    found = (first["file"], first["line"], first["column"])
    assert found == ("<text>", before.count("\n") + 1, len(before) - line_start + 1), first["message"]


def test_the_message_shows_the_line_with_a_caret() -> None:
    error = refused(f"\nint f({FIRST})\n{{\n\treturn file->no_such_member;\n}}\n", name="dir/prog.c")
    assert str(error) == (
        "compile `dir/prog.c`: 4:15: no member named 'no_such_member' in 'struct file'\n"
        "    4 | \treturn file->no_such_member;\n"
        "      | \t             ^"
    )
    assert error.object == "dir/prog.c"
    assert "no_such_member" in error.log
    assert error.diagnostics[0]["severity"] == "error"


def test_errors_in_a_header_are_the_headers(tmp_path: Path) -> None:
    (tmp_path / "own.h").write_text("\nstatic int f(int a) { return b; }\n")
    (tmp_path / "p.c").write_text('#include "own.h"\n')
    error = refused((tmp_path / "p.c").read_text(), name=str(tmp_path / "p.c"))
    assert error.diagnostics[0]["file"] == str(tmp_path / "own.h")
    assert (error.diagnostics[0]["line"], error.diagnostics[0]["column"]) == (2, 30)


def test_a_missing_tracepoint_is_said() -> None:
    error = refused("TRACEPOINT_PROBE(no_such, tracepoint) { return args->a; }")
    assert error.hint == "this kernel has no tracepoint `no_such:tracepoint`"


def test_headers_that_include_each_other_end() -> None:
    error = refused('#include "no/../such.h"\n')
    assert "cannot find" in str(error)


def test_flags_that_the_compiler_refuses_are_errors_without_a_place() -> None:
    for flag in ("; touch injected", "$(touch injected)", "--no-such-flag", "`touch injected`", "|touch injected"):
        error = refused("int f(void *ctx) { return 0; }", cflags=[flag])
        assert flag in error.diagnostics[0]["message"]
        assert error.diagnostics[0]["line"] == 0
    assert not Path("injected").exists()
    with pytest.raises(ValueError, match="NUL"):
        compile_c("int f(void *ctx) { return 0; }", cflags=["-DA=\0"])


def test_names_are_never_flags_or_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-o", "../../x", "rtrace=input.c", "a\nb", "", "..", '"; #error x', "x" * 5000):
        error = refused("int f(void *ctx) { return a; }", name=name)
        assert error.diagnostics[0]["file"] == name
        assert compile_c("int f(void *ctx) { return 0; }", name=name)
    assert os.listdir(tmp_path) in ([], ["cache"])


def test_without_a_compiler_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert find_compiler() is None
    with pytest.raises(NotSupportedError, match="a C compiler") as caught:
        compile_c("int f(void *ctx) { return 0; }")
    assert "clang" in str(caught.value.hint)


def test_the_environment_may_name_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "my-clang"
    broken.write_text("#!/bin/sh\necho 'this is no compiler' >&2\nkill -SEGV $$\n")
    broken.chmod(0o755)
    monkeypatch.setenv("RTRACE_CLANG", str(broken))
    error = refused("int f(void *ctx) { return 0; }")
    assert "ended by signal 11" in str(error)
    assert "this is no compiler" in error.log


WORDS = """int f ( ) { } struct pt_regs * ctx , ; # " ' /* */ // #include <a.h> BPF_HASH( h . lookup_or_init(
    perf_submit( static é < TRACEPOINT_PROBE( #define #if #else #endif bpf_usdt_readarg( BPF_TABLE( "hash" ["""
LAYOUT = ("\n", "\\\n", "\0")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from((*WORDS.split(), *LAYOUT)), max_size=40))
def test_no_text_does_harm(words: list[str]) -> None:
    try:
        data = compile_c(" ".join(words))
    except CompileError as error:
        assert "error" in [said["severity"] for said in error.diagnostics]
    else:
        assert data.startswith(b"\x7fELF")
