"""The words of bcc's dialect: every one of them is in a program that the tests load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c

MACROS = """
BPF_ARRAY BPF_ARRAY_OF_MAPS BPF_CGROUP_ARRAY BPF_CGROUP_STORAGE BPF_CPUMAP BPF_DEVMAP BPF_F_TABLE BPF_HASH
BPF_HASH_OF_MAPS BPF_HISTOGRAM BPF_INODE_STORAGE BPF_ITER BPF_LPM_TRIE BPF_LRU_HASH BPF_PERCPU_ARRAY
BPF_PERCPU_CGROUP_STORAGE BPF_PERCPU_HASH BPF_PERF_ARRAY BPF_PERF_OUTPUT BPF_PROG_ARRAY BPF_QUEUE BPF_QUEUESTACK
BPF_QUEUESTACK_PINNED BPF_QUEUESTACK_PUBLIC BPF_QUEUESTACK_SHARED BPF_RINGBUF_OUTPUT BPF_SK_STORAGE BPF_SOCKHASH
BPF_SOCKMAP BPF_STACK BPF_STACK_TRACE BPF_STACK_TRACE_BUILDID BPF_TABLE BPF_TABLE_PINNED BPF_TABLE_PUBLIC
BPF_TABLE_SHARED BPF_TASK_STORAGE BPF_XSKMAP KFUNC_PROBE KMOD_RET KRETFUNC_PROBE LSM_PROBE PT_REGS_FP PT_REGS_IP
PT_REGS_PARM1 PT_REGS_PARM2 PT_REGS_PARM3 PT_REGS_PARM4 PT_REGS_PARM5 PT_REGS_PARM6 PT_REGS_RC PT_REGS_SP
PT_REGS_SYSCALL_CTX RAW_TRACEPOINT_PROBE TP_DATA_LOC_READ_CONST TP_DATA_LOC_READ_STR TRACEPOINT_PROBE bpf_num_cpus
cursor_advance incr_cksum_l3 incr_cksum_l4 load_byte load_dword load_half load_word lock_xadd
"""
METHODS = """
atomic_increment call check_current_task delete get_local_storage get_stackid increment inode_storage_delete
inode_storage_get insert lookup lookup_or_init lookup_or_try_init msg_redirect_hash msg_redirect_map peek
perf_counter_value perf_read perf_submit perf_submit_skb pop push redirect_map ringbuf_discard ringbuf_output
ringbuf_query ringbuf_reserve ringbuf_submit sk_redirect_hash sk_redirect_map sk_storage_delete sk_storage_get
sock_hash_update sock_map_update task_storage_delete task_storage_get update
"""
# What bcc's own tools call.
HELPERS = """
bpf_get_current_cgroup_id bpf_get_current_comm bpf_get_current_pid_tgid bpf_get_current_task bpf_get_current_task_btf
bpf_get_current_uid_gid bpf_get_ns_current_pid_tgid bpf_get_numa_node_id bpf_get_prandom_u32 bpf_get_smp_processor_id
bpf_ktime_get_ns bpf_log2l bpf_probe_read bpf_probe_read_kernel bpf_probe_read_kernel_str bpf_probe_read_str
bpf_probe_read_user bpf_probe_read_user_str bpf_trace_printk
"""
CORPUS = [*Path("tests/data/bcc/dialect").glob("*.c")]
SHARED = Path("tests/kernel/bcc/test_shared_tables.py")


@pytest.mark.parametrize(
    ("words", "pattern", "files"),
    [(MACROS, r"\b{}\b", [*CORPUS, SHARED]), (METHODS, r"\.{}\(", CORPUS), (HELPERS, r"\b{}\(", CORPUS)],
    ids=["macro", "method", "helper"],
)
def test_every_word_is_in_a_program_that_is_loaded(words: str, pattern: str, files: list[Path]) -> None:
    text = "\n".join(path.read_text() for path in files)
    assert [word for word in words.split() if not re.search(pattern.format(word), text)] == []


def test_what_needs_a_module_or_a_kernel_of_its_own_compiles() -> None:
    source = """
    #include <linux/skbuff.h>
    MODULE_KFUNC_PROBE(tun, tun_net_xmit, struct sk_buff *skb) { return skb->len > 3; }
    MODULE_KRETFUNC_PROBE(tun, tun_net_xmit, struct sk_buff *skb, void *device, int result) { return result; }
    int fail(struct pt_regs *ctx) { bpf_override_return(ctx, -EPERM); return 0; }
    TRACEPOINT_PROBE(sched, sched_process_exec) { char name[64]; TP_DATA_LOC_READ(name, filename); return name[0]; }
    """
    programs = ObjectSpec.parse(compile_c(source), "test").programs
    assert programs == {
        "kfunc__tun__tun_net_xmit": "fentry",
        "kretfunc__tun__tun_net_xmit": "fexit",
        "fail": "kprobe",
        "tracepoint__sched__sched_process_exec": "tracepoint",
    }
