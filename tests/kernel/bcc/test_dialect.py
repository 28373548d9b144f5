"""Objects of the compile step on a live kernel: every map is made, every program passes the verifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c
from rtrace.errors import VerifierError

CORPUS = sorted(Path("tests/data/bcc/dialect").glob("*.c"))
# What needs a target, which machines have or do not; other tests attach such programs.
TARGETED = {"fentry", "fexit", "fmod_ret", "lsm"}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_verifier_accepts_the_corpus(path: Path) -> None:
    spec = ObjectSpec.parse(compile_c(path.read_text(), name=str(path)), path.name)
    with spec.load({}) as loaded:
        for name, kind in spec.programs.items():
            if kind not in TARGETED:
                loaded.load_program(name)


@pytest.mark.parametrize("name", ["vfsreadlat", "disksnoop"])
def test_the_verifier_accepts_the_tutorials_programs(name: str) -> None:
    path = Path(f"tests/data/bcc/{name}.c")
    spec = ObjectSpec.parse(compile_c(path.read_text(), name=str(path)), path.name)
    spec.load(dict.fromkeys(spec.programs)).close()


def test_copies_of_arrays_in_a_record_are_read() -> None:
    """The compiler moves the context to copy from it, which the verifier refuses."""
    source = """
    struct copy_t { char prev[16]; u64 half; };
    BPF_HASH(copies, u32, struct copy_t);
    TRACEPOINT_PROBE(sched, sched_switch) {
        struct copy_t copy = {};
        u32 key = 0;
        __builtin_memcpy(copy.prev, args->prev_comm, sizeof(copy.prev));
        __builtin_memcpy(&copy.half, args->next_comm + 8, sizeof(copy.half));
        copies.update(&key, &copy);
        return 0;
    }
    """
    spec = ObjectSpec.parse(compile_c(source), "copies")
    spec.load(dict.fromkeys(spec.programs)).close()


def test_a_refusal_names_the_line_of_the_source() -> None:
    source = """BPF_HASH(counts, u32);
int f(struct pt_regs *ctx)
{
    u32 key = 0;
    u64 *count = counts.lookup(&key);
    *count = 1;
    return 0;
}
"""
    spec = ObjectSpec.parse(compile_c(source, name="dir/refused.c"), "refused")
    with pytest.raises(VerifierError, match=r"program `f` at refused\.c:6, `\*count = 1;`: R0 invalid mem access"):
        spec.load({"f": None})
