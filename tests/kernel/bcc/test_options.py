"""What can be asked of ``BPF`` beside the program: a look at it on its way, and more room for kretprobes."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import (
    BPF,
    DEBUG_BPF,
    DEBUG_BPF_REGISTER_STATE,
    DEBUG_BTF,
    DEBUG_LLVM_IR,
    DEBUG_PREPROCESSOR,
    DEBUG_SOURCE,
)
from rtrace.bcc.cpus import possible_cpus
from rtrace.errors import NotSupportedError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = """BPF_HASH(counts, u32);
RAW_TRACEPOINT_PROBE(sched_switch) {
    struct task_struct *next = (struct task_struct *)ctx->args[2];
    counts.increment(next->pid);
    return 0;
}
int refused(struct pt_regs *ctx) { int zero = 0; return *counts.lookup(&zero); }
"""


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Callable[[int], str]:
    """Return a function that loads the program with flags for debugging; it returns what is on stderr then."""

    def load(flags: int) -> str:
        with BPF(text=SOURCE, debug=flags):
            out, err = capfd.readouterr()
        assert out == ""
        return err

    return load


def test_nothing_is_shown_unless_asked_for(shown: Callable[[int], str]) -> None:
    assert shown(0) == ""


def test_the_rewritten_program(shown: Callable[[int], str]) -> None:
    said = shown(DEBUG_PREPROCESSOR)
    assert said.startswith("// <text>\nBPF_HASH(counts, u32);\n")
    assert 'SEC("kprobe/refused") int refused(struct pt_regs *ctx)' in said


def test_the_compilers_own_language(shown: Callable[[int], str]) -> None:
    assert "define dso_local i32 @refused(" in shown(DEBUG_LLVM_IR)


def test_the_instructions_that_the_kernel_gets(shown: Callable[[int], str]) -> None:
    said = shown(DEBUG_BPF)
    assert said.startswith("raw_tracepoint__sched_switch:\n   0: ")
    # The read of kernel memory is a call by then.
    assert ": call 4\n" in said
    assert ": exit\n" in said
    assert "processed " in said
    assert "; <text>" not in said


def test_the_instructions_below_their_lines(shown: Callable[[int], str]) -> None:
    said = shown(DEBUG_SOURCE)
    assert "; <text>:4: counts.increment(next->pid);\n" in said
    assert "processed " not in said


def test_what_the_verifier_knows(shown: Callable[[int], str]) -> None:
    said = shown(DEBUG_BPF_REGISTER_STATE)
    assert "R1" in said.split("processed ")[0]
    assert "R10=fp0" in said


def test_what_loading_says(shown: Callable[[int], str]) -> None:
    assert "loaded `<text>`: 0 programs" in shown(DEBUG_BTF)


def test_the_log_of_a_refusal(capfd: pytest.CaptureFixture[str]) -> None:
    with BPF(text=SOURCE, debug=DEBUG_BPF) as b:
        capfd.readouterr()
        with pytest.raises(VerifierError) as caught:
            b.load_func("refused", BPF.KPROBE)
        assert capfd.readouterr().err == "\n".join(caught.value.log).rstrip("\n") + "\n"


def test_more_room_for_kretprobes_is_not_promised_silently() -> None:
    with BPF(text="int leave(void *ctx) { return 0; }") as b:
        with (
            pytest.warns(UserWarning, match="maxactive=100000 of kretprobes: left at the kernel's own choice"),
            contextlib.suppress(NotSupportedError),
        ):
            b.attach_kretprobe(event="vfs_read", fn_name="leave", maxactive=100000)
        # Every kernel has room for so many.
        with warnings.catch_warnings(), contextlib.suppress(NotSupportedError):
            warnings.simplefilter("error")
            b.attach_kretprobe(event="vfs_read", fn_name="leave", maxactive=possible_cpus())
