"""Beginners' mistakes in C: each error has the user's place, and says what to do."""

from __future__ import annotations

import pytest

from rtrace._rtrace import compile_c
from rtrace.errors import CompileError

DECLARATIONS = """struct data_t { u32 pid; u64 ts; };
BPF_HASH(start, u32, u64);
BPF_HISTOGRAM(dist);
BPF_PERF_OUTPUT(events);
BPF_TABLE("percpu_array", int, u64, totals, 4);
"""
HEAD = DECLARATIONS + "TRACEPOINT_PROBE(syscalls, sys_enter_read) {\n"
KEYED = "atomic_increment, delete, increment, insert, lookup, lookup_or_try_init, update"
# A program with a mark where the error is, what the message says, and what the hint says.
MISTAKES = {
    "semicolon behind a table": (
        "BPF_HASH(start, u32)¦\nint f(void *ctx) { return 0; }",
        "expected ';' behind `BPF_HASH(...)`",
        "",
    ),
    "semicolon before a tracepoint": (
        "BPF_HASH(start, u32)¦\nTRACEPOINT_PROBE(syscalls, sys_enter_read) { return 0; }",
        "expected ';' behind",
        "",
    ),
    "semicolon behind a struct": ("struct a { u32 b; }\n¦BPF_HASH(start, u32);", "cannot combine", "is a `;` missing"),
    "method": (
        HEAD + "start.¦get(&args); return 0; }",
        "table `start` has no method `get`",
        f"`start` has the methods {KEYED}",
    ),
    "method nearly": (HEAD + "start.¦lookupp(0); return 0; }", "`lookupp`; did you mean `lookup`?", KEYED),
    "method of a histogram": (HEAD + "dist.¦inc(1); return 0; }", "table `dist` has no method `inc`", KEYED),
    "method of another kind": (
        HEAD + "struct data_t d = {}; ¦dist.perf_submit(args, &d, sizeof(d)); return 0; }",
        "`perf_submit`",
        KEYED,
    ),
    "method of an output": (
        HEAD + "events.¦submit(args); return 0; }",
        "table `events` has no method `submit`",
        "`events` has the methods perf_submit, perf_submit_skb",
    ),
    "method of a table by type": (
        HEAD + "totals.¦add(1); return 0; }",
        "table `totals`",
        f"`totals` has the methods {KEYED}",
    ),
    "struct without a name": (
        "int f(void *ctx) { struct { int x; } start = {}; return start.¦y; }",
        "no member named 'y'",
        "",
    ),
    "field": (HEAD + "return args->¦size; }", "no member named 'size'", "`syscalls:sys_enter_read` has the fields "),
    "member nearly": (HEAD + "struct data_t d = {}; return d.¦pdi; }", "'pdi'", "did you mean `pid`?"),
    "member": (HEAD + "struct data_t d = {}; return d.¦name; }", "'name'", "`struct data_t` has the members pid, ts"),
    "tracepoint": (
        "TRACEPOINT_PROBE(syscalls, sys_enter_raed) { return args¦->count; }",
        "incomplete",
        "no tracepoint `syscalls:sys_enter_raed`; did you mean `syscalls:sys_enter_read`?",
    ),
    "category": (
        "TRACEPOINT_PROBE(syscall, sys_enter_read) { return args¦->fd; }",
        "",
        "mean `syscalls:sys_enter_read`?",
    ),
    "struct": (HEAD + "struct dta_t ¦d = {}; return 0; }", "'struct dta_t'", "struct `dta_t`; did you mean `data_t`?"),
    "struct of the kernel": (
        "int f(struct pt_regs *ctx, struct tsk_struct *p) { return p¦->pid; }",
        "'struct tsk_struct'",
        "struct `tsk_struct`; did you mean `task_struct`?",
    ),
    "struct of a module": (
        "int f(struct pt_regs *ctx, struct no_such_thing_anywhere *p) { return p¦->a; }",
        "",
        "those of a module are known while it is loaded",
    ),
    "table": (HEAD + "u32 k = 0; ¦strat.delete(&k); return 0; }", "undeclared identifier", "did you mean `start`?"),
    "helper": (HEAD + "return ¦bpf_ktime_get_nss(); }", "bpf_ktime_get_nss", "did you mean `bpf_ktime_get_ns`?"),
    "macro": ("¦BPF_HSAH(start);", "", "there is no `BPF_HSAH`; did you mean `BPF_HASH`?"),
    "context of a tracepoint": (
        HEAD + "struct data_t d = {}; events.perf_submit(¦ctx, &d, sizeof(d)); return 0; }",
        "'ctx'",
        "is called `args`",
    ),
    "context left out": (
        HEAD + "struct data_t d = {}; ¦events.perf_submit(&d, sizeof(d)); return 0; }",
        "",
        "`events.perf_submit(ctx, &data, sizeof(data))`",
    ),
    "library": (HEAD + "return ¦strcmp(0, 0); }", "strcmp", "there is no C library"),
    "printf": (HEAD + '¦printf("a"); return 0; }', "printf", "use bpf_trace_printk()"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_place_and_a_way_out(mistake: str) -> None:
    marked, message, hint = MISTAKES[mistake]
    before, behind = marked.split("¦")
    with pytest.raises(CompileError) as caught:
        compile_c(before + behind)
    error = caught.value
    first = next(said for said in error.diagnostics if said["severity"] == "error")
    # Compilers speak of one or another word between the parentheses of what should have been a macro.
    if mistake != "macro":
        assert (first["line"], first["column"]) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert message in str(error)
    assert "[-W" not in str(error)
    assert hint in (error.hint or "") if hint else error.hint is None


def test_members_of_the_kernels_structs_nearly() -> None:
    """Some compilers say it themselves, others leave it to rtrace."""
    with pytest.raises(CompileError) as caught:
        compile_c("int f(struct pt_regs *ctx, struct task_struct *p) { return p->tgdi; }")
    assert "did you mean" in f"{caught.value} {caught.value.hint}"


def test_too_large_for_the_stack() -> None:
    body = "char a[600] = {}; bpf_probe_read_user(a, sizeof(a), args->buf); return a[args->count & 511]; }"
    with pytest.raises(CompileError) as caught:
        compile_c(HEAD + body)
    assert "BPF_PERCPU_ARRAY" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("expression", "hint"),
    [("1.5 * args->count", "floating point"), ("(s64)args->count / (s64)args->fd", "make both sides unsigned")],
)
def test_arithmetic_that_there_is_not(expression: str, hint: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_c(HEAD + f"u32 n = {expression}; start.delete(&n); return 0; }}")
    assert hint in str(caught.value.hint)
