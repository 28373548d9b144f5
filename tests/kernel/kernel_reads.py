"""Programs in plain C that dereference kernel pointers, run once for a system call of the test's own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rtrace import _rtrace
from tests.kernel.clang import compile_bpf

PRELUDE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define HASH(name, K, V) \\
    struct { __uint(type, 1); __type(key, K); __type(value, V); __uint(max_entries, 1024); } name SEC(".maps")
const volatile u32 TGID = 0;
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


def parse_c(source: str, *, mark: bool = True) -> _rtrace.ObjectSpec:
    """Compile C as the bcc route does, for calls of this process."""
    text = f"#define GETPPID {GETPPID}\n" + PRELUDE + OURS + (MARK if mark else "") + source
    spec = _rtrace.ObjectSpec.parse(compile_bpf(text, "-Wno-unused-variable", "-Wno-unused-function"), "program.o")
    # Globals that no program reads are left out of such objects.
    if "OURS" in source or "TGID" in source:
        spec.set_global("TGID", os.getpid())
    return spec


Attach = Callable[[_rtrace.Object], list[_rtrace.Link]]


def raw(program: str, tracepoint: str) -> Attach:
    return lambda loaded: [loaded.attach_raw_tracepoint(program, tracepoint)]


def load_c(source: str, *, target: str | None = None, mark: bool = True) -> _rtrace.Object:
    """Compile and load, all programs for the one target, where they have one."""
    spec = parse_c(source, mark=mark)
    return spec.load(dict.fromkeys(spec.programs, target))


@contextmanager
def running(source: str, attach: Attach) -> Iterator[_rtrace.Object]:
    """Compile, load and attach."""
    with load_c(source) as loaded, ExitStack() as links:
        for link in attach(loaded):
            links.enter_context(link)
        yield loaded


def getppid(*arguments: int) -> None:
    """Make the one system call that the programs look at, with arguments that the kernel ignores."""
    LIBC.syscall(ctypes.c_long(GETPPID or 0), *(ctypes.c_void_p(argument) for argument in arguments))


def result(source: str, *arguments: int, attach: Attach | None = None) -> dict[str, object]:
    """Run a program once; return the fields of what it put into its map `out`."""
    with running(source, attach or raw("probe", "sys_enter")) as loaded:
        getppid(*arguments)
        keys, values = loaded.map("out").snapshot()
    assert len(keys) == 1
    (row,) = values
    return {name: row[name] for name in values.dtype.names or ()}


def text(field: object) -> bytes:
    """Return what is before the first zero."""
    return bytes(field).split(b"\0")[0]  # type: ignore[call-overload, no-any-return]


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
