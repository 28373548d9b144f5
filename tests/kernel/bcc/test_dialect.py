"""Objects of the compile step on a live kernel: every map is made, every program passes the verifier."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c
from rtrace.bcc import BPF
from rtrace.errors import VerifierError
from tests.kernel.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = sorted(Path("tests/data/bcc/dialect").glob("*.c"))
# The first Linux with all that a file uses: disks of queues, task storage, five arguments to print.
SINCE = {"network": (5, 15), "objects": (5, 11), "printing": (5, 13), "targets": (5, 11)}
# What needs a target: the programs of one file that has those of every kernel.
TARGETED = {"fentry", "fexit", "fmod_ret", "iter", "lsm"}
TARGETS = {
    "kfunc__vmlinux__vfs_read": "vfs_read",
    "kretfunc__vmlinux__vfs_read": "vfs_read",
    "kmod_ret__vmlinux__security_file_open": "security_file_open",
    "lsm__file_open": "file_open",
    "bpf_iter__task": "task",
}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_verifier_accepts_the_corpus(path: Path) -> None:
    if running() < SINCE.get(path.stem, (5, 10)):
        pytest.skip(f"what {path.name} uses is younger than Linux {platform.release()}")
    spec = ObjectSpec.parse(compile_c(path.read_text(), name=str(path)), path.name)
    with spec.load({}) as loaded:
        for name, kind in spec.programs.items():
            if kind not in TARGETED:
                loaded.load_program(name)


@pytest.mark.parametrize(("program", "target"), TARGETS.items(), ids=TARGETS)
def test_the_verifier_accepts_programs_with_targets(needs: Callable[..., None], program: str, target: str) -> None:
    if running() < SINCE["targets"]:
        pytest.skip(f"storage of tasks is younger than Linux {platform.release()}")
    path = Path("tests/data/bcc/dialect/targets.c")
    spec = ObjectSpec.parse(compile_c(path.read_text(), name=str(path)), path.name)
    assert spec.programs.keys() == TARGETS.keys()
    needs(lambda: spec.load({program: target}).close(), since=(5, 11))


def test_the_configuration_of_the_running_kernel_is_known() -> None:
    if not Path("/proc/config.gz").exists():
        pytest.skip("this kernel does not show its configuration")
    compile_c("""
#if !IS_ENABLED(CONFIG_BPF) || !defined(CONFIG_BPF_SYSCALL) || IS_ENABLED(CONFIG_NO_SUCH_OPTION)
#error "not this kernel's configuration"
#endif
#if HZ != CONFIG_HZ
#error "not as many ticks in a second"
#endif
""")


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
    # Newer verifiers end with advice.
    reason = "(R0 invalid mem access|Add a NULL check)"
    with pytest.raises(VerifierError, match=rf"program `f` at refused\.c:6, `\*count = 1;`: {reason}"):
        spec.load({"f": None})


def test_an_object_for_another_kernel_is_fitted_to_this_one() -> None:
    """Fields of the kernel's structs and of tracepoints' records are found by name."""
    source = """
    BPF_HASH(counts, u32);
    TRACEPOINT_PROBE(sched, sched_process_exec) {
        char name[8];
        TP_DATA_LOC_READ_STR(name, filename, sizeof(name));
        counts.increment(args->pid + name[0]);
        return 0;
    }
    int f(struct pt_regs *ctx, struct file *file) { counts.increment(file->f_flags); return 0; }
    """
    release = platform.release().encode()
    data = compile_c(source)
    assert release in data
    spec = ObjectSpec.parse(data.replace(release, b"X" * len(release)), "other")
    spec.load(dict.fromkeys(spec.programs)).close()


def test_an_index_that_was_compared_is_known_to_be_small() -> None:
    """Between the comparison and the access compilers find shorter ways to the same number."""
    BPF(
        text="""
struct counts { u64 of[69]; };
BPF_PERCPU_ARRAY(counts, struct counts, 1);
RAW_TRACEPOINT_PROBE(sched_switch) {
    int zero = 0;
    u32 reason = (u32)ctx->args[0];
    if (reason >= 69)
        return 0;
    struct counts *found = counts.lookup(&zero);
    if (found)
        found->of[reason]++;
    return 0;
}"""
    ).close()
