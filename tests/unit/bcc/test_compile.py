"""C in bcc's dialect becomes objects with the programs and maps that it says, whichever way it says so."""

from __future__ import annotations

import logging
import platform
import struct
from pathlib import Path
from typing import Any

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c, find_compiler
from tests.elf import sections, strings

CORPUS = Path("tests/data/bcc/dialect")
TUTORIAL = Path("tests/data/bcc")


def parse(source: str, **options: Any) -> ObjectSpec:
    return ObjectSpec.parse(compile_c(source, **options), "test")


def test_there_is_a_compiler() -> None:
    compiler = find_compiler()
    assert compiler is not None, "these tests need the ziglang package, and clang 14 or newer"
    assert compiler["kind"] in {"clang", "zig"}
    assert Path(compiler["path"]).is_file()


@pytest.mark.parametrize("compiler", ["clang", "zig"])
@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.c")), ids=lambda path: path.stem)
def test_every_program_of_the_corpus_compiles(path: Path, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTRACE_CLANG", compiler)
    data = compile_c(path.read_text(), name=str(path))
    spec = ObjectSpec.parse(data, path.name)
    assert spec.programs
    # Nothing is left of what methods are made of: no functions, no tables of them, no literals.
    assert sections(data)[".text"] == b""
    assert not [name for name in spec.maps if name.startswith(".")]
    assert spec.globals == []


def test_variables_can_be_set_whether_a_program_reads_them_or_not() -> None:
    spec = parse("""
const volatile int unread = 1;
const volatile int limits[2] = { 2, 3 };
int counted;
int f(struct pt_regs *ctx) { return limits[1]; }
""")
    assert spec.globals == ["counted", "limits", "unread"]
    assert sorted(spec.maps) == [".bss", ".rodata"]
    spec.set_global("unread", 5)
    spec.set_global("limits", (6, 7))
    spec.set_global("counted", 8)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.c")), ids=lambda path: path.stem)
def test_what_is_left_out_of_the_prelude_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever pastes tokens, which may become any name, gets all of it."""
    caplog.set_level(logging.DEBUG)
    source = path.read_text()
    needed = compile_c(source, name=str(path), cache=False)
    assert "once more" not in caplog.text
    assert sections(needed) == sections(compile_c(f"{source}\n#define paste_ a##b\n", name=str(path), cache=False))


def test_what_is_left_out_of_the_prelude_and_missed_comes_after_all(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    # A file that rtrace does not see.
    hidden = tmp_path / "clock.h"
    hidden.write_text("static u64 now(void) { return bpf_ktime_get_ns(); }\n")
    source = (
        f'#define HIDDEN "{hidden}"\n#include HIDDEN\nTRACEPOINT_PROBE(sched, sched_switch) {{ return now() & 1; }}'
    )
    assert parse(source, cache=False).programs
    assert "once more" in caplog.text


def test_maps_have_the_types_and_sizes_that_they_are_declared_with() -> None:
    maps = parse((CORPUS / "maps.c").read_text()).maps
    expected = {
        "hash1": 10240,
        "hash4": 256,
        "bytes": 5,
        "array3": 16,
        "histogram1": 64,
        "histogram3": 100,
        "table1": 99,
    }
    assert {name: maps[name] for name in expected} == expected
    # As many stacks as the next power of two.
    assert parse("BPF_STACK_TRACE(s, 1000); BPF_STACK_TRACE(t, 1024); BPF_STACK_TRACE(u, 1);").maps == {
        "s": 1024,
        "t": 1024,
        "u": 1,
    }


def test_programs_are_for_what_their_names_and_parameters_say() -> None:
    programs = parse((CORPUS / "probes.c").read_text()).programs
    assert programs["trace_read"] == programs["hello"] == programs["syscall__execve"] == "kprobe"
    assert programs["kretprobe__vfs_write"] == "kretprobe"
    assert programs["on_sample"] == "perf event"
    assert programs["raw_tracepoint__sched_switch"] == "raw tracepoint"
    assert programs["kfunc__vmlinux__vfs_read"] == "fentry"
    assert programs["kretfunc__vmlinux__vfs_read"] == "fexit"
    assert "twice" not in programs


def test_sections_name_the_targets() -> None:
    found = sections(compile_c((CORPUS / "probes.c").read_text()))
    for name in ("kprobe/trace_read", "kprobe/vfs_write", "kretprobe/vfs_write", "kprobe/__x64_sys_openat"):
        assert name in found
    for name in ("raw_tracepoint/sched_switch", "fentry/vfs_read", "fexit/vfs_read", "lsm/file_open", "perf_event"):
        assert name in found


def test_every_event_leaves_its_type() -> None:
    spec = parse((CORPUS / "events.c").read_text())
    events = {name: spec.types(name)["event"] for name in spec.maps}
    named = {name: event["name"] for name, event in events.items() if event is not None}
    expected = {
        "events": "data_t",
        "others": "small_t",
        "ring": "data_t",
        "copies": "small_t",
        "packets": "unsigned int",
    }
    assert named == expected


@pytest.mark.parametrize(
    "head",
    [
        "int f(struct pt_regs *ctx, struct file *file)",
        "TRACEPOINT_PROBE(syscalls, sys_enter_read)",
        "RAW_TRACEPOINT_PROBE(sched_switch)",
        "KFUNC_PROBE(vfs_read, struct file *file)",
        "KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count, loff_t *pos, int result)",
        "static int sent(void *ctx)",
    ],
)
def test_events_leave_their_type_from_whatever_function(head: str) -> None:
    context = "args" if "TRACEPOINT_PROBE(sys" in head else "ctx"
    caller = "int f(void *ctx) { return sent(ctx); }" if "sent" in head else ""
    body = f"{{ struct data_t d = {{}}; events.perf_submit({context}, &d, sizeof(d)); return 0; }}"
    event = parse(f"struct data_t {{ u32 pid; }}; BPF_PERF_OUTPUT(events);\n{head} {body}\n{caller}").types("events")[
        "event"
    ]
    assert event is not None
    assert event["name"] == "data_t"


def test_ring_buffers_count_what_they_lose() -> None:
    maps = parse((CORPUS / "events.c").read_text()).maps
    assert maps["ring"] == 8 * 4096
    assert maps["copies"] == 2 * 4096
    assert maps["ring__lost"] == maps["copies__lost"] == 1


def test_what_is_added_atomically_is_not_asked_for() -> None:
    """Linux 5.10 has no instruction that returns the value before."""
    source = """BPF_HASH(h); BPF_HASH(w, u32, u32);
    int f(void *ctx) {
        u64 k = 1, *v = h.lookup(&k);
        h.atomic_increment(k);
        w.atomic_increment(1);
        if (v) { lock_xadd(v, 5); __sync_fetch_and_add(v, 1); }
        return 0;
    }"""
    code = sections(compile_c(source))["kprobe/f"]
    instructions = [struct.unpack("<BBhi", code[at : at + 8]) for at in range(0, len(code), 8)]
    atomic = [immediate for operation, _, _, immediate in instructions if operation in {0xC3, 0xDB}]
    assert atomic == [0] * 4


def test_objects_say_which_kernel_they_fit() -> None:
    mark = sections(compile_c("int f(void *ctx) { return 0; }"))[".rtrace.dialect"]
    assert mark.rstrip(b"\0").decode().split()[:2] == [platform.release(), platform.machine()]


@pytest.mark.parametrize(("source", "licence"), [("", b"GPL"), ("#define BPF_LICENSE Dual BSD/GPL\n", b"Dual BSD/GPL")])
def test_the_licence_is_gpl_unless_told(source: str, licence: bytes) -> None:
    assert sections(compile_c(f"{source}int f(void *ctx) {{ return 0; }}"))["license"] == licence + b"\0"


def test_constants_of_the_kernels_headers_that_btf_does_not_have() -> None:
    parse("""
#include <linux/fs.h>
#if !defined(__PAGE_OFFSET_BASE_L4) || __PAGE_OFFSET_BASE_L4 < __PAGE_OFFSET_BASE_L5
#error "no addresses of the kernel"
#endif
int f(struct pt_regs *ctx) { return PT_REGS_IP(ctx) > __PAGE_OFFSET_BASE_L5 ? WRITE : READ; }
int h(struct pt_regs *ctx, u64 ns) { return div_u64(ns, 10 * NSEC_PER_USEC) + div64_u64(ns, NSEC_PER_SEC); }
int g(struct pt_regs *ctx, struct sk_buff *skb) { return skb_rx_queue_recorded(skb) ? skb_get_rx_queue(skb) : -1; }
""")


def test_the_compilers_idea_of_the_source_is_the_users_own() -> None:
    """The verifier shows lines of the source: those that the user wrote, not those that rtrace made of them."""
    source = (
        "BPF_HASH(h);\nint f(struct pt_regs *ctx, struct file *file)\n{\n\th.increment(file->f_flags);\n\treturn 0;\n}"
    )
    found = strings(sections(compile_c(source, name="/home/me/prog ram.c"))[".BTF"])
    assert b"\th.increment(file->f_flags);" in found
    assert b"./prog_ram.c" in found


def test_flags_reach_the_compiler_as_they_are() -> None:
    source = "int f(void *ctx) { return LIMIT; }"
    assert parse(source, cflags=["-DLIMIT=3"]).programs == {"f": "kprobe"}
    assert parse(source, cflags=['-DLIMIT=sizeof("a b; $(touch x) `y` \'z\' > \\"w\\"")']).programs == {"f": "kprobe"}


def test_a_header_of_ones_own_is_found_beside_the_source_and_rewritten(tmp_path: Path) -> None:
    (tmp_path / "own.h").write_text(
        '#pragma once\n#include <linux/fs.h>\n#include "more/types.h"\n'
        "static int flags(struct file *f) { return f->f_flags; }\n"
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "types.h").write_text("struct key_t { u32 pid; };\nBPF_HASH(keys, struct key_t);\n")
    program = tmp_path / "prog.c"
    program.write_text(
        '#include "own.h"\n#include "own.h"\nint f(struct pt_regs *ctx, struct file *file) {'
        " struct key_t k = { flags(file) }; keys.increment(k); return 0; }"
    )
    assert parse(program.read_text(), name=str(program)).maps == {"keys": 10240}
    moved = [str(tmp_path)]
    assert parse(program.read_text(), include_dirs=moved).maps == {"keys": 10240}
    assert parse(program.read_text(), cflags=["-I", str(tmp_path)]).maps == {"keys": 10240}


@pytest.mark.parametrize(("name", "maps"), [("vfsreadlat", {"began", "latencies"}), ("disksnoop", {"start"})])
def test_the_tutorials_programs_compile(name: str, maps: set[str]) -> None:
    source = (TUTORIAL / f"{name}.c").read_text()
    assert maps <= set(parse(source).maps)
