"""Plain C dereferences of kernel pointers work in every program for tracing: loads become probe reads when loaded."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.errors import LoadError, VerifierError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")

PRELUDE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define HASH(name, K, V) \\
    struct { __uint(type, 1); __type(key, K); __type(value, V); __uint(max_entries, 1024); } name SEC(".maps")
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *) 1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *) 2;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *) 14;
static void *(*bpf_get_current_task)(void) = (void *) 35;
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - __builtin_offsetof(type, member)))

struct pt_regs {
    u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
struct raw_arguments { u64 args[2]; };
struct sys_enter { u64 hidden; long id; u64 args[6]; };
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct qstr { u64 hash_len; const unsigned char *name; };
struct dentry { struct dentry *d_parent; struct qstr d_name; };
struct path { struct dentry *dentry; };
struct fs_struct { struct path pwd; };
struct file { struct path f_path; };
struct new_utsname { char nodename[65]; };
struct uts_namespace { struct new_utsname name; };
struct nsproxy { struct uts_namespace *uts_ns; };
struct mm_struct { u64 start_stack; };
typedef struct { u32 val; } kuid_t;
struct cred { kuid_t uid; };
struct task_struct {
    struct task_struct *real_parent; int tgid; int pid; char comm[16]; struct fs_struct *fs; struct nsproxy *nsproxy;
    struct mm_struct *mm; const struct cred *cred;
};
#pragma clang attribute pop
char LICENSE[] SEC("license") = "GPL";
"""
MARK = 'char dialect[] SEC(".rtrace.dialect") = "";\n'
# Every program here begins like this: only for a system call of ours that nothing else makes. Its arguments are ours.
GETPPID = _rtrace.syscall_number("getppid")
OURS = """
#define OURS if (bpf_get_current_pid_tgid() >> 32 != TGID || ctx->args[1] != GETPPID) return 0; \\
    struct pt_regs *regs = (struct pt_regs *)ctx->args[0]; u32 zero = 0
#define RAW SEC("raw_tp/sys_enter") int probe(struct raw_arguments *ctx)
"""
LIBC = ctypes.CDLL(None)


def compile_c(source: str, tmp_path: Path, *, mark: bool = True) -> bytes:
    """Compile C as the bcc route does."""
    text = f"#define TGID {os.getpid()}\n#define GETPPID {GETPPID}\n" + PRELUDE + OURS + (MARK if mark else "") + source
    path = tmp_path / "program.c"
    path.write_text(text)
    compiled = tmp_path / "program.o"
    command = [
        "clang",
        "-target",
        "bpf",
        "-O2",
        "-g",
        "-Wall",
        "-Werror",
        "-Wno-unused-variable",
        "-Wno-unused-function",
    ]
    subprocess.run([*command, "-c", str(path), "-o", str(compiled)], check=True)
    return compiled.read_bytes()


Attach = Callable[[_rtrace.Object], list[_rtrace.Link]]


def raw(program: str, tracepoint: str) -> Attach:
    return lambda loaded: [loaded.attach_raw_tracepoint(program, tracepoint)]


@contextmanager
def running(source: str, tmp_path: Path, attach: Attach) -> Iterator[_rtrace.Object]:
    """Compile, load and attach."""
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path), "program.o")
    with spec.load(dict.fromkeys(spec.programs)) as loaded, ExitStack() as links:
        for link in attach(loaded):
            links.enter_context(link)
        yield loaded


def getppid(*arguments: int) -> None:
    """Make the one system call that the programs look at, with arguments that the kernel ignores."""
    LIBC.syscall(ctypes.c_long(GETPPID or 0), *(ctypes.c_void_p(argument) for argument in arguments))


def result(source: str, tmp_path: Path, *arguments: int, attach: Attach | None = None) -> dict[str, object]:
    """Run a program once; return the fields of what it put into its map `out`."""
    with running(source, tmp_path, attach or raw("probe", "sys_enter")) as loaded:
        getppid(*arguments)
        keys, values = loaded.map("out").snapshot()
    assert len(keys) == 1
    (row,) = values
    return {name: row[name] for name in values.dtype.names or ()}


def text(field: object) -> bytes:
    """Return what is before the first zero."""
    return bytes(field).split(b"\0")[0]  # type: ignore[call-overload, no-any-return]


def test_chains_of_pointers(tmp_path: Path) -> None:
    source = """
        struct row { u32 tgid, parent, uid, unused; u64 stack; char node[65]; char comm[16]; char cwd[32]; };
        HASH(out, u32, struct row);
        RAW {
            OURS;
            struct task_struct *task = bpf_get_current_task();
            struct row row = {};
            row.tgid = task->tgid;
            row.parent = task->real_parent->tgid;
            row.uid = task->cred->uid.val;
            row.stack = task->mm->start_stack;
            __builtin_memcpy(row.node, task->nsproxy->uts_ns->name.nodename, sizeof(row.node));
            __builtin_memcpy(row.comm, task->real_parent->comm, sizeof(row.comm));
            const unsigned char *name = task->fs->pwd.dentry->d_name.name;
            for (int i = 0; i < sizeof(row.cwd) - 1 && name[i]; i++)
                row.cwd[i] = name[i];
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
    """
    found = result(source, tmp_path)
    with open("/proc/self/stat") as stat:
        start_stack = int(stat.read().rpartition(")")[2].split()[25])
    with open(f"/proc/{os.getppid()}/comm", "rb") as comm:
        parent = comm.read().rstrip(b"\n")
    assert (found["tgid"], found["parent"], found["uid"]) == (os.getpid(), os.getppid(), os.getuid())
    assert found["stack"] == start_stack
    assert text(found["node"]) == os.uname().nodename.encode()
    assert text(found["comm"]) == parent
    assert text(found["cwd"]) == os.path.basename(os.getcwd()).encode()[:31]


def ancestors() -> int:
    """Return how many processes there are above this one."""
    count, pid = 0, os.getpid()
    while True:
        with open(f"/proc/{pid}/stat") as stat:
            pid = int(stat.read().rpartition(")")[2].split()[1])
        if pid == 0:
            return count
        count += 1


def test_loops_that_end_early(tmp_path: Path) -> None:
    source = """
        struct row { u32 depth, last; };
        HASH(out, u32, struct row);
        RAW {
            OURS;
            struct task_struct *task = bpf_get_current_task();
            struct row row = {};
            for (int i = 0; i < 40; i++) {
                if (task->tgid <= 1)
                    break;
                task = task->real_parent;
                row.depth++;
            }
            row.last = task->tgid;
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
    """
    assert result(source, tmp_path) == {"depth": ancestors(), "last": 1}


class Inner(ctypes.Structure):
    """What a program reads from the memory of the process: known to the last bit."""

    _fields_ = (("small", ctypes.c_int8), ("short", ctypes.c_int16), ("text", ctypes.c_char * 9))


class Outer(ctypes.Structure):
    """A struct with everything that C has."""

    _fields_ = (
        ("low", ctypes.c_uint32, 3),
        ("middle", ctypes.c_int32, 7),
        ("high", ctypes.c_uint32, 22),
        ("inner", Inner * 3),
        ("next", ctypes.c_void_p),
        ("wide", ctypes.c_uint64, 40),
        ("rest", ctypes.c_int64, 24),
        ("ratio", ctypes.c_uint16 * 4),
    )


OUTER = """
    struct inner { s8 small; s16 number; char text[9]; };
    struct outer {
        u32 low : 3; s32 middle : 7; u32 high : 22; struct inner inner[3]; struct outer *next;
        u64 wide : 40; s64 rest : 24; u16 ratio[4];
    };
"""


def outer() -> Outer:
    """Return a struct that points to itself."""
    made = Outer(low=5, middle=-50, high=0x2ABCDE, wide=0xABCDEF0123, rest=-1234567, ratio=(1, 2, 3, 65535))
    for index, inner in enumerate(made.inner):
        inner.small, inner.short, inner.text = -index, -300 * index, b"element%d" % index
    made.next = ctypes.addressof(made)
    return made


def test_everything_that_c_reads(tmp_path: Path) -> None:
    """Bit fields, signs, arrays of structs, copies of structs, `container_of`, and an index of the program's own."""
    source = (
        OUTER
        + """
        struct row {
            u32 low; s32 middle; u32 high; s32 small; s32 number; u32 ratio; u64 wide; s64 rest; struct inner copy;
            char last; u8 contained;
        };
        HASH(out, u32, struct row);
        RAW {
            OURS;
            struct outer *outer = (struct outer *)regs->di;
            u32 index = regs->si;
            struct outer *far = outer->next->next->next;
            struct row row = {
                .low = outer->low, .middle = far->middle, .high = outer->high, .small = far->inner[2].small,
                .number = outer->inner[index].number, .ratio = far->ratio[3], .wide = far->wide, .rest = far->rest,
                .copy = far->inner[1], .last = outer->inner[index].text[index + 5],
            };
            struct inner *second = &far->inner[1];
            row.contained = container_of(second - 1, struct outer, inner)->next == outer;
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()
    found = result(source, tmp_path, ctypes.addressof(memory), 2)
    expected = {"low": 5, "middle": -50, "high": 0x2ABCDE, "small": -2, "number": -600, "ratio": 65535}
    expected |= {"wide": 0xABCDEF0123, "rest": -1234567, "contained": 1, "last": ord("2")}
    copy = found.pop("copy")
    assert found == expected
    assert (copy["small"], copy["number"], text(copy["text"])) == (-1, -300, b"element1")  # type: ignore[index]


def test_tracepoint_programs(tmp_path: Path) -> None:
    source = (
        OUTER
        + """
        struct row { s32 number; u32 unused; };
        HASH(out, u32, struct row);
        SEC("tracepoint/raw_syscalls/sys_enter") int probe(struct sys_enter *ctx) {
            if (bpf_get_current_pid_tgid() >> 32 != TGID || ctx->id != GETPPID) return 0;
            struct outer *outer = (struct outer *)ctx->args[0];
            struct row row = { outer->next->inner[1].number };
            u32 zero = 0;
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()
    attach: Attach = lambda loaded: [loaded.attach_tracepoint("probe", "raw_syscalls", "sys_enter")]  # noqa: E731
    found = result(source, tmp_path, ctypes.addressof(memory), attach=attach)
    assert found == {"number": -300, "unused": 0}


def test_typed_programs_that_cast(tmp_path: Path) -> None:
    """The verifier knows the type of the first argument, not what the addresses in it point to."""
    source = (
        OUTER
        + """
        struct row { s32 number; u32 tgid; };
        HASH(out, u32, struct row);
        SEC("tp_btf/sys_enter") int probe(struct raw_arguments *ctx) {
            OURS;
            struct outer *outer = (struct outer *)regs->di;
            struct task_struct *task = bpf_get_current_task();
            struct row row = { outer->next->inner[1].number, task->tgid };
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path), "program.o")
    with spec.load({"probe": "sys_enter"}) as loaded:
        with loaded.attach_trampoline("probe"):
            getppid(ctypes.addressof(memory))
        assert loaded.map("out").lookup(0).tolist() == (-300, os.getpid())


def test_perf_event_programs(tmp_path: Path) -> None:
    """A context that the kernel converts: registers through it are read as they are, and what they point to is not."""
    source = """
        struct perf_data { struct pt_regs regs; u64 sample_period; u64 addr; };
        struct row { u64 period; u32 tgid, parent; u64 first; };
        HASH(out, u64, struct row);
        SEC("perf_event") int probe(struct perf_data *ctx) {
            struct task_struct *task = bpf_get_current_task();
            u64 address = ctx->addr;
            struct row row = { ctx->sample_period, task->tgid, task->real_parent->tgid, *(u64 *)ctx->regs.sp };
            row.first = row.first == *(u64 *)ctx->regs.sp;
            bpf_map_update_elem(&out, &address, &row, 0);
            return 0;
        }
    """
    software, page_faults = 1, 2
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path), "program.o")
    with spec.load({"probe": None}) as loaded:
        with (
            mmap.mmap(-1, 3 * mmap.PAGESIZE) as memory,
            loaded.attach_perf_event("probe", software, page_faults, sample_period=1, pid=0),
        ):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory, mmap.PAGESIZE))
            memory[mmap.PAGESIZE] = 1
        row = loaded.map("out").lookup(address)
    assert row.tolist() == (1, os.getpid(), os.getppid(), 1)


def test_pointers_that_maps_kept(tmp_path: Path) -> None:
    """One program stores pointers, alone and in a struct; another reads through them."""
    source = (
        OUTER
        + """
        struct kept { u64 when; struct outer *outer; struct task_struct *task; };
        struct row { u32 low, tgid; };
        HASH(kept_map, u32, struct kept);
        HASH(tasks, u32, struct task_struct *);
        HASH(out, u32, struct row);
        RAW {
            OURS;
            struct task_struct *task = bpf_get_current_task();
            struct kept kept = { 7, (struct outer *)regs->di, task };
            bpf_map_update_elem(&kept_map, &zero, &kept, 0);
            bpf_map_update_elem(&tasks, &zero, &task, 0);
            return 0;
        }
        SEC("raw_tp/sys_exit") int leave(struct raw_arguments *ctx) {
            struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
            if (bpf_get_current_pid_tgid() >> 32 != TGID || regs->orig_ax != GETPPID) return 0;
            u32 zero = 0;
            struct kept *kept = bpf_map_lookup_elem(&kept_map, &zero);
            struct task_struct **task = bpf_map_lookup_elem(&tasks, &zero);
            if (!kept || !task)
                return 0;
            struct row row = { kept->outer->next->low, (*task)->tgid };
            if (kept->task != *task)
                row.tgid = 0;
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()

    def attach(loaded: _rtrace.Object) -> list[_rtrace.Link]:
        return [loaded.attach_raw_tracepoint("leave", "sys_exit"), loaded.attach_raw_tracepoint("probe", "sys_enter")]

    found = result(source, tmp_path, ctypes.addressof(memory), attach=attach)
    assert found == {"low": 5, "tgid": os.getpid()}


def test_one_of_two_pointers(tmp_path: Path) -> None:
    """What is a map's value on one way and the kernel's on another is read as either."""
    source = (
        OUTER
        + """
        struct row { s32 number; u32 low; };
        HASH(scratch, u32, struct outer);
        HASH(out, u64, struct row);
        RAW {
            OURS;
            struct outer local = { .low = 3 };
            local.inner[1].number = 11;
            bpf_map_update_elem(&scratch, &zero, &local, 0);
            struct outer *outer = (struct outer *)regs->di;
            u64 way = regs->si;
            if (way == 1) {
                outer = bpf_map_lookup_elem(&scratch, &zero);
                if (!outer)
                    return 0;
                outer->low = 4;
            }
            if (way == 2)
                outer = &local;
            asm volatile("" : "+r"(outer));
            struct row row = { outer->inner[1].number, outer->low };
            bpf_map_update_elem(&out, &way, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()
    with running(source, tmp_path, raw("probe", "sys_enter")) as loaded:
        for way in range(3):
            getppid(ctypes.addressof(memory), way)
        found = {way: loaded.map("out").lookup(way).tolist() for way in range(3)}
    assert found == {0: (-300, 5), 1: (11, 4), 2: (11, 3)}


def test_functions_that_are_not_inlined(tmp_path: Path) -> None:
    """Pointers go into functions of the program's own and come back from them."""
    source = (
        OUTER
        + """
        struct row { s32 sum; u32 from_map; };
        HASH(out, u32, struct row);
        HASH(scratch, u32, struct row);
        static __attribute__((noinline)) struct outer *step(struct outer *outer, u32 times) {
            for (u32 i = 0; i < 3; i++)
                if (i < times)
                    outer = outer->next;
            return outer;
        }
        static __attribute__((noinline)) s32 sum(struct outer *outer, struct row *row) {
            row->sum += outer->inner[1].number + step(outer, 2)->inner[2].number;
            return row->from_map;
        }
        RAW {
            OURS;
            struct row row = { 1, 8 };
            bpf_map_update_elem(&scratch, &zero, &row, 0);
            struct row *kept = bpf_map_lookup_elem(&scratch, &zero);
            if (!kept)
                return 0;
            struct outer *outer = step((struct outer *)regs->di, regs->si);
            row.from_map = sum(outer, kept) + sum(outer, &row);
            row.sum += kept->sum;
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    memory = outer()
    found = result(source, tmp_path, ctypes.addressof(memory), 2)
    assert found == {"sum": 2 * (1 - 300 - 600), "from_map": 16}


def test_an_address_that_cannot_be_read_gives_zero(tmp_path: Path) -> None:
    source = (
        OUTER
        + """
        struct row { u64 wide; s32 number; u32 after; };
        HASH(out, u32, struct row);
        RAW {
            OURS;
            struct outer *outer = (struct outer *)regs->di;
            struct row row = { outer->wide, outer->next->next->inner[1].number, 7 };
            bpf_map_update_elem(&out, &zero, &row, 0);
            return 0;
        }
        """
    )
    for address in (0, 8, 1 << 60, (1 << 64) - 4096):
        assert result(source, tmp_path, address) == {"wide": 0, "number": 0, "after": 7}


def test_a_frame_without_room_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    source = (
        OUTER
        + """
        HASH(out, u32, char[504]);
        RAW {
            OURS;
            struct outer *outer = (struct outer *)regs->di;
            char large[504] = {};
            large[0] = outer->low;
            bpf_map_update_elem(&out, &zero, large, 0);
            return 0;
        }
        """
    )
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path), "program.o")
    with pytest.raises(
        LoadError, match=r"line \d+: 512 bytes of stack and 8 more for reads of kernel memory"
    ) as caught:
        spec.load({"probe": None})
    assert caught.value.program == "probe"
    assert "per-CPU array" in str(caught.value.hint)


def test_other_objects_are_left_alone(tmp_path: Path) -> None:
    source = """
        HASH(out, u32, u32);
        RAW { OURS; u32 low = *(u32 *)regs->di; bpf_map_update_elem(&out, &zero, &low, 0); return 0; }
    """
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path, mark=False), "program.o")
    with pytest.raises(VerifierError):
        spec.load({"probe": None})


def test_kprobe_programs(tmp_path: Path) -> None:
    source = """
        HASH(out, u64, char[24]);
        SEC("kprobe/vfs_read") int probe(struct pt_regs *ctx) {
            if (bpf_get_current_pid_tgid() >> 32 != TGID)
                return 0;
            struct file *file = (struct file *)ctx->di;
            u64 count = ctx->dx;
            struct qstr name = file->f_path.dentry->d_name;
            char text[24] = {};
            for (int i = 0; i < sizeof(text) - 1; i++) {
                if (!name.name[i])
                    break;
                text[i] = name.name[i];
            }
            bpf_map_update_elem(&out, &count, text, 0);
            return 0;
        }
    """
    spec = _rtrace.ObjectSpec.parse(compile_c(source, tmp_path), "program.o")
    with spec.load({"probe": None}) as loaded:
        if not _rtrace.has_kprobes():
            return
        with loaded.attach_kprobe("probe", "vfs_read"):
            file = tmp_path / "the-name-of-this-file"
            file.write_bytes(b"x" * 20000)
            with open(file, "rb", buffering=0) as opened:
                opened.read(10007)
        keys, values = loaded.map("out").snapshot()
        names = {int(key): text(value) for key, value in zip(keys, values, strict=True)}
        assert names[10007] == b"the-name-of-this-file"
