"""What programs take for granted because the kernel's headers have it."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c, struct_member_bits, syscall_number


def returned(expression: str, **options: Any) -> int:
    """Compile a program that returns a constant, and take that out of its instructions."""
    source = f"int f(struct pt_regs *ctx) {{ return {expression}; }}"
    spec = ObjectSpec.parse(compile_c(source, **options), "test")
    instructions = spec.instructions("f")
    assert instructions[0] & 0x07 == 7 or instructions[0] & 0x07 == 4, "no move of a constant"
    return int.from_bytes(instructions[4:8], "little", signed=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, getattr(errno, name)) for name in ("EPERM", "ENOTCONN", "EPROTONOSUPPORT", "EWOULDBLOCK")),
        *((name, getattr(signal, name).value) for name in ("SIGKILL", "SIGCHLD", "SIGSTOP", "SIGSYS")),
        *((name, getattr(os, name)) for name in ("O_TMPFILE", "O_DIRECTORY", "O_PATH", "O_NOFOLLOW", "O_SYNC")),
        ("IPPROTO_ICMPV6", 58),
        ("CAP_SYS_ADMIN", 21),
        ("CLONE_NEWPID", os.CLONE_NEWPID if hasattr(os, "CLONE_NEWPID") else 0x20000000),
        ("AT_FDCWD", -100),
        ("FUTEX_WAIT_PRIVATE", 128),
        ("DIV_ROUND_UP(7, 2)", 4),
        ("ALIGN(13, 8)", 16),
        ("MASK(5)", 31),
        ("REQ_SYNC == 1U << __REQ_SYNC", 1),
        ("S32_MAX", 2**31 - 1),
        ("__NR_openat", syscall_number("openat")),
        ("PAGE_SIZE", os.sysconf("SC_PAGESIZE")),
    ],
)  # fmt: skip
def test_constants(name: str, value: int) -> None:
    assert returned(name) == value


def test_functions_that_the_compiler_has_itself() -> None:
    compile_c("""
struct event { char name[16]; char other[16]; };
int f(struct pt_regs *ctx)
{
	struct event event;
	memset(&event, 0, sizeof(event));
	memcpy(event.name, "abc", 4);
	memmove(event.other, event.name, sizeof(event.name));
	return memcmp(event.name, event.other, 4) + strlen("four") + event.name[3];
}
""")
    assert returned('strlen("four")') == 4


@pytest.mark.parametrize(
    "source",
    [
        "struct key { u32 sk_daddr; u16 sk_num; }; int f(void *c) { struct key k = {1}; return k.sk_num; }",
        "enum { READ, WRITE, OTHER = 9 }; int f(void *ctx) { return WRITE + OTHER; }",
        "static int min(int a, int b) { return a < b ? a : b; } int f(void *ctx) { return min(1, 2); }",
        "static void *memset(void *at, int byte, u64 n) { return at; } int f(void *c) { return !memset(0, 1, 2); }",
        "int f(struct pt_regs *ctx, u64 min, u64 max) { return min(min, max); }",
        "int f(void *ctx) { u16 sk_num = 1; return sk_num; }",
    ],
)
def test_names_of_ones_own_are_no_macros(source: str) -> None:
    compile_c(source, cache=False)
    # The same where all of the prelude is there.
    compile_c(f"{source}\n#define paste_ a##b\n", cache=False)


def test_members_that_are_macros_stay_for_who_declares_none() -> None:
    compile_c("int f(struct pt_regs *ctx, struct sock *sk) { u16 port = sk->sk_num; return port + sk->sk_dport; }")


@pytest.mark.parametrize("flag", ["-DT=struct task_struct", "-DT=struct NAME", "-DT=KEY"])
def test_types_that_only_options_name(flag: str) -> None:
    names = "#define NAME task_struct\n#define KEY struct task_struct\n"
    compile_c(f"{names}int f(struct pt_regs *ctx, T *task) {{ return task->pid; }}", cflags=[flag])


def test_a_tag_and_a_constant_that_only_options_name() -> None:
    compile_c("int f(struct TAG *ctx) { return ctx->data_end; }", cflags=["-DTAG=xdp_md"])
    assert returned("STATE", cflags=["-DSTATE=TCP_CA_Loss"]) == 4


def test_compound_literals_are_one_argument() -> None:
    spec = ObjectSpec.parse(
        compile_c("""
struct key { u32 a, b; };
BPF_HASH(counts, struct key);
BPF_HASH(sums, struct key);
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 8);
int f(struct pt_regs *ctx)
{
	counts.increment((struct key){1, 2});
	sums.increment((struct key){1, 2}, 3);
	sums.atomic_increment((struct key){.a = 1, .b = 2});
	events.perf_submit(ctx, &(struct key){1, 2}, sizeof(struct key));
	ring.ringbuf_output(&(struct key){1, 2}, sizeof(struct key), 0);
	return 0;
}
"""),
        "test",
    )
    assert {"counts", "sums", "events", "ring"} <= set(spec.maps)
    event = spec.types("events")["event"]
    assert [member["name"] for member in event["members"]] == ["a", "b"]


def test_where_members_of_the_kernels_structs_lie() -> None:
    assert struct_member_bits("list_head", "next") == (0, 64)
    assert struct_member_bits("list_head", "prev") == (64, 64)
    # In the struct's part without a name.
    assert struct_member_bits("tcphdr", "syn") in {(105, 1), (110, 1)}
    assert struct_member_bits("list_head", "last") is None
    assert struct_member_bits("no_such_struct", "next") is None
