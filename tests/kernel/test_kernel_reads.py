"""Plain C dereferences of kernel pointers work, whatever C makes of them: loads become probe reads when loaded."""

from __future__ import annotations

import ctypes
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from rtrace.errors import LoadError
from tests.kernel.kernel_reads import OUTER, getppid, outer, parse_c, raw, result, running, text

if TYPE_CHECKING:
    from rtrace import _rtrace

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")


def test_chains_of_pointers() -> None:
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
    found = result(source)
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


def test_loops_that_end_early() -> None:
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
    assert result(source) == {"depth": ancestors(), "last": 1}


def test_everything_that_c_reads() -> None:
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
    found = result(source, ctypes.addressof(memory), 2)
    expected = {"low": 5, "middle": -50, "high": 0x2ABCDE, "small": -2, "number": -600, "ratio": 65535}
    expected |= {"wide": 0xABCDEF0123, "rest": -1234567, "contained": 1, "last": ord("2")}
    copy = found.pop("copy")
    assert found == expected
    assert (copy["small"], copy["number"], text(copy["text"])) == (-1, -300, b"element1")  # type: ignore[index]


def test_pointers_that_maps_kept() -> None:
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

    found = result(source, ctypes.addressof(memory), attach=attach)
    assert found == {"low": 5, "tgid": os.getpid()}


def test_one_of_two_pointers() -> None:
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
    with running(source, raw("probe", "sys_enter")) as loaded:
        for way in range(3):
            getppid(ctypes.addressof(memory), way)
        found = {way: loaded.map("out").lookup(way).tolist() for way in range(3)}
    assert found == {0: (-300, 5), 1: (11, 4), 2: (11, 3)}


def test_an_address_that_cannot_be_read_gives_zero() -> None:
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
        assert result(source, address) == {"wide": 0, "number": 0, "after": 7}


def test_a_frame_without_room_is_an_error_with_a_way_out() -> None:
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
    spec = parse_c(source)
    with pytest.raises(
        LoadError, match=r"line \d+: 512 bytes of stack and 8 more for reads of kernel memory"
    ) as caught:
        spec.load({"probe": None})
    assert caught.value.program == "probe"
    assert "per-CPU array" in str(caught.value.hint)
