"""Beginners' mistakes that only the kernel finds: the error has the user's line, and says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import BPF
from rtrace.errors import AttachError, LoadError, MapKeyError, TargetNotFoundError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARATIONS = """
struct key_t { u32 pid; u64 at; };
BPF_HASH(start, u32, u64);
BPF_HASH(keyed, struct key_t);
BPF_HISTOGRAM(dist);
"""
# Bodies with a mark in front of the line that is refused, and what the hint says.
MISTAKES = {
    "pointer not compared": (
        "u32 k = 1; u64 *at = start.lookup(&k);\n¦dist.increment(bpf_log2l(*at));",
        "compare the pointer with 0",
    ),
    "key by value": ("u32 k = 1;\n¦start.delete(k);", "take addresses: `&key`"),
    "value by value": ("u32 k = 1; u64 v = 1;\n¦start.update(&k, v);", "take addresses: `&key`"),
    "key too small": ("u8 k = 1;\n¦start.delete(&k);", "the types that their table is declared with"),
    "endless loop": ("u32 n = 0;\nfor (;;)\n¦n += bpf_get_prandom_u32();", "the loop has to end"),
    "loop as long as an argument says": (
        "u32 n = 0;\nfor (u64 i = 0; i < args->count; i++)\n¦n += bpf_get_prandom_u32();\nstart.delete(&n);",
        "number of rounds that is a constant",
    ),
    "pointer of a process": ("u32 k = 1;\n¦k = *(u32 *)args->buf; start.delete(&k);", ""),
}


def program(body: str) -> str:
    return f"{DECLARATIONS}TRACEPOINT_PROBE(syscalls, sys_enter_read)\n{{\n{body}\nreturn 0;\n}}\n"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refusal_has_its_line_and_a_way_out(mistake: str) -> None:
    marked, hint = MISTAKES[mistake]
    before, behind = program(marked).split("¦")
    if not hint:
        # bcc reads such pointers for the program, and so does rtrace.
        BPF(text=before + behind).close()
        return
    with pytest.raises(VerifierError) as caught:
        BPF(text=before + behind)
    number = before.count("\n") + 1
    # Kernels give up at one or another line of a loop.
    numbers = f"({number - 1}|{number})" if "loop" in mistake else f"{number}"
    assert re.search(rf"at <text>:{numbers}, `.+`: ", str(caught.value))
    assert hint in str(caught.value.hint)


def test_what_is_asked_for_and_not_there_is_said_with_what_is() -> None:
    with BPF(text="BPF_HASH(start, u32);\nint on_read(void *ctx) { return 0; }") as b:
        with pytest.raises(LoadError, match="no program `on_raed`.* it has on_read"):
            b.attach_tracepoint(tp="syscalls:sys_enter_read", fn_name="on_raed")
        with pytest.raises(MapKeyError) as missing:
            b["strat"]
        assert missing.value.hint == "it has start"
        with pytest.raises(TargetNotFoundError) as caught:
            b.attach_tracepoint(tp="syscalls:sys_enter_raed", fn_name="on_read")
        assert "syscalls:sys_enter_read" in caught.value.suggestions
        assert "did you mean" in str(caught.value.hint)


def test_more_arguments_than_a_raw_tracepoint_has_are_refused_with_their_number() -> None:
    with pytest.raises(AttachError) as caught:
        BPF(text="RAW_TRACEPOINT_PROBE(sched_switch) { return ctx->args[9] != 0; }")
    assert re.match(r"it has [34] arguments here, the program may read more", str(caught.value.hint))


def test_a_function_that_is_not_there_is_said_with_those_that_are(needs: Callable[..., None]) -> None:
    with BPF(text="int on_read(void *ctx) { return 0; }") as b:
        needs(lambda: b.attach_kprobe(event="vfs_read", fn_name="on_read"), since=(4, 17), option="CONFIG_KPROBES")
        with pytest.raises(TargetNotFoundError) as caught:
            b.attach_kprobe(event="vfs_raed", fn_name="on_read")
    assert "vfs_read" in caught.value.suggestions
