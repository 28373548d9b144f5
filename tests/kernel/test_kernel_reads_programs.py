"""Plain C dereferences of kernel pointers work in every program for tracing, and in no others."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.errors import VerifierError
from tests.kernel.kernel_reads import OUTER, Attach, getppid, load_c, outer, result, text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")


def test_tracepoint_programs() -> None:
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
    found = result(source, ctypes.addressof(memory), attach=attach)
    assert found == {"number": -300, "unused": 0}


def test_typed_programs_that_cast() -> None:
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
    with load_c(source, target="sys_enter") as loaded:
        with loaded.attach_trampoline("probe"):
            getppid(ctypes.addressof(memory))
        assert loaded.map("out").lookup(0).tolist() == (-300, os.getpid())


def test_perf_event_programs() -> None:
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
    with load_c(source) as loaded:
        with (
            mmap.mmap(-1, 3 * mmap.PAGESIZE) as memory,
            loaded.attach_perf_event("probe", software, page_faults, sample_period=1, pid=0),
        ):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory, mmap.PAGESIZE))
            memory[mmap.PAGESIZE] = 1
        row = loaded.map("out").lookup(address)
    assert row.tolist() == (1, os.getpid(), os.getppid(), 1)


def test_functions_that_are_not_inlined() -> None:
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
    found = result(source, ctypes.addressof(memory), 2)
    assert found == {"sum": 2 * (1 - 300 - 600), "from_map": 16}


def test_other_objects_are_left_alone() -> None:
    source = """
        HASH(out, u32, u32);
        RAW { OURS; u32 low = *(u32 *)regs->di; bpf_map_update_elem(&out, &zero, &low, 0); return 0; }
    """
    with pytest.raises(VerifierError):
        load_c(source, mark=False)


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
    with load_c(source) as loaded:
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
