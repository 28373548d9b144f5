"""Programs that do not compile: errors with a place in the user's own text, whatever the text is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrace._rtrace import compile_c
from rtrace.errors import CompileError

FIRST = "struct pt_regs *ctx, struct file *file"


def refused(source: str | bytes, **options: object) -> CompileError:
    with pytest.raises(CompileError) as caught:
        compile_c(source, **options)  # type: ignore[arg-type]
    return caught.value


PACKET = "#include <bcc/proto.h>\nint f(struct __sk_buff *skb) { struct ip_t *ip = 0; "

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
    'int a = 1; char *b = ¦"never ends;\nint c;',
    "int f(void *ctx) { return ¦'; }\n",
    "int f(void *ctx)\n{ struct no_such ¦a; return 0; }",
    "int f(¦no_such_t a) { return 0; }",
    "#define LOOK(map, k) map.lookup(k)\nBPF_HASH(h);\nint f(void *ctx) { return LOOK(¦g, ctx) != 0; }",
    "#define MANY(a) \\\n  ((a) + \\\n   (a))\nint f(void *ctx) { return MANY(¦nothing); }",
    "#define BAD \\\n  1 + \\\n nothing\nint f(void *ctx) { return ¦BAD; }",
    "#define ¦1\n",
    "#¦if 1\nint a;\n",
    "#¦error on purpose",
    "int f(void *ctx) { return ¦LIMIT; }",
    # Packet headers.
    PACKET + "¦nothing = ip->ver; return ip->ver; }",
    PACKET + "ip->ver = 1; return ip->ver + ¦nothing; }",
    PACKET + "ip->ver = ip->ver = ip->ver = ip->ver = ¦ip->ver = 1; }",
    PACKET + "return ip->¦no_such_member + ip->ver; }",
    # Bytes of other encodings, as Python has them in str.
    'char *f(void) { return "Andr¦\udce9"; }',
    "int ¦\udcff;",
]


@pytest.mark.parametrize("marked", PLACES, ids=range(len(PLACES)))
def test_errors_have_the_place_in_the_users_text(marked: str) -> None:
    before, behind = marked.split("¦")
    first = next(said for said in refused(before + behind).diagnostics if said["severity"] == "error")
    line_start = before.rfind("\n") + 1
    found = (first["file"], first["line"], first["column"])
    assert found == ("<text>", before.count("\n") + 1, len(before) - line_start + 1), first["message"]


def test_a_source_may_go_by_other_lines() -> None:
    """`#line` moves what a place is called, not the text that is shown, nor the column."""
    source = f'int a;\n#line 100 "made from.y"\nint b;\nint f({FIRST}) {{ return nothing; }}\n#line 7\n int c = d;\n'
    error = refused(source)
    assert [(said["file"], said["line"], said["column"]) for said in error.diagnostics] == [
        ("made from.y", 101, 56),
        ("made from.y", 7, 10),
    ]
    assert str(error).splitlines()[1].split("|")[1].strip().endswith("{ return nothing; }")
    caret = str(error).splitlines()[2]
    assert len(caret) - 8 == 56


def test_flags_may_define_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "own.h").write_text("#define OWN nothing_own\n")
    source = "#include <own.h>\nint f(void *ctx) { return LIMIT + OWN; }"
    error = refused(source, cflags=["-DLIMIT=nothing", "-I", str(tmp_path)])
    places = [(said["line"], said["column"]) for said in error.diagnostics if said["severity"] == "error"]
    assert places == [(2, 27), (2, 35)]


def test_comments_may_hold_bytes_of_any_encoding(tmp_path: Path) -> None:
    source = b"// Andr\xe9\n/* \xff\xfe */ int f(void *ctx) { return %s; }"
    assert compile_c(source % b"0")
    error = refused(source % b"nothing")
    assert (error.diagnostics[0]["line"], error.diagnostics[0]["column"]) == (2, 36)
    (tmp_path / "own.h").write_bytes(b"// \xe9\n")
    assert compile_c('#include "own.h"\n', include_dirs=[tmp_path])
    (tmp_path / "own.h").write_bytes(b"int \xe9;\n")
    assert f"in `{tmp_path}/own.h`: a byte that is no UTF-8" in str(
        refused('#include "own.h"', include_dirs=[tmp_path])
    )


def test_a_file_that_is_no_header_is_an_error_of_the_program_that_includes_it() -> None:
    error = refused('int a;\n#include "/etc/passwd"\n')
    first = error.diagnostics[0]
    assert (first["file"], first["line"]) == ("/etc/passwd", 1)
    assert ("<text>", 2, "included here") in [
        (said["file"], said["line"], said["message"]) for said in error.diagnostics
    ]
    assert str(error).endswith("(included at 2)")
    # Of the file no more is told than the compiler's word on it.
    assert "\n" not in str(error)


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem", "/dev/stdin", "/"])
def test_what_is_no_file_is_not_read(path: str) -> None:
    assert "cannot" in str(refused(f'#include "{path}"'))


def test_functions_that_call_themselves_end() -> None:
    """The compiler takes them, as C does; the kernel will not."""
    for source in (
        "static int f(int a) { return a ? f(a - 1) + 1 : 0; } int g(void *ctx) { return f(3); }",
        "int f(void *ctx) { return f(ctx); }",
        "#define A B\n#define B A\nint A;",
        "\n".join(f"#define A{i} A{i + 1} A{i + 1}" for i in range(20)) + "\n#define A20\nint a A0;",
    ):
        try:
            compile_c(source)
        except CompileError as error:
            assert error.diagnostics  # either will do


def test_the_compiler_has_two_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Macros within macros grow without bounds."""
    limited = tmp_path / "my-clang"
    limited.write_text('#!/bin/sh\nwhile [ "$(ulimit -v)" = unlimited ]; do :; done; ulimit -v >&2; exit 1\n')
    limited.chmod(0o755)
    monkeypatch.setenv("RTRACE_CLANG", str(limited))
    assert int(refused("int a;").log) <= 2 << 20


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
