"""Every way of attaching that this machine's kernel has, with counts to the last run."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF, BPFAttachType, PerfSWConfig, PerfType, XDPFlags
from rtrace.errors import AttachError, TargetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.conftest import Reader

COUNT = "BPF_ARRAY(count, u64, 1);"
OURS = "if (bpf_get_current_pid_tgid() >> 32 != %d) return 0;" % os.getpid()  # noqa: UP031  # braces are C's


@pytest.fixture
def load() -> Iterator[Any]:
    """Return BPF, closed at the end."""
    made: list[BPF] = []

    def make(**facts: Any) -> BPF:
        made.append(BPF(**facts))
        return made[-1]

    yield make
    for bpf in made:
        bpf.close()


def count(b: BPF) -> int:
    return int(b["count"][0].value)


def test_tracepoints_attach_by_name_and_by_call(load: Any, reader: Reader) -> None:
    text = f"""{COUNT}
    TRACEPOINT_PROBE(syscalls, sys_enter_read) {{
        if ((u32)bpf_get_current_pid_tgid() == {reader.tid} && args->count == 1) count.increment(0);
        return 0;
    }}
    int more(struct tracepoint__syscalls__sys_exit_read *args) {{
        if ((u32)bpf_get_current_pid_tgid() == {reader.tid} && args->ret == 1) count.increment(0, 1000);
        return 0;
    }}
    """
    b = load(text=text)
    assert (b.num_open_tracepoints(), b.num_open_kprobes(), b.num_open_uprobes()) == (1, 0, 0)
    reader.read(7)
    assert count(b) == 7
    b.attach_tracepoint(tp=b"syscalls:sys_exit_read", fn_name=b"more")
    assert set(b.tracepoint_fds) == {b"syscalls:sys_enter_read", b"syscalls:sys_exit_read"}
    reader.read(5)
    assert count(b) == 5012
    b.detach_tracepoint("syscalls:sys_enter_read")
    reader.read(3)
    assert count(b) == 8012
    with pytest.raises(AttachError, match="it is not attached there"):
        b.detach_tracepoint("syscalls:sys_enter_read")


def test_two_programs_on_one_tracepoint_are_both_detached(load: Any, reader: Reader) -> None:
    body = f"{{ if ((u32)bpf_get_current_pid_tgid() == {reader.tid}) count.increment(0); return 0; }}"
    b = load(text=f"{COUNT} int one(void *ctx) {body} int two(void *ctx) {body}")
    b.attach_tracepoint("syscalls:sys_enter_read", fn_name="one").attach_tracepoint(
        "syscalls:sys_enter_read", fn_name="two"
    )
    reader.read(3)
    assert count(b) == 6
    b.detach_tracepoint("syscalls:sys_enter_read")
    reader.read(3)
    assert count(b) == 6


def test_a_program_that_is_attached_there_already_has_a_way_out(load: Any) -> None:
    native = load(text="int one(void *ctx) { return 0; }").native
    native.load_program("one", kind="tracepoint")
    with native.attach_tracepoint("one", "syscalls", "sys_enter_getppid"):
        with pytest.raises(AttachError, match="attach tracepoint `one` to `syscalls:sys_enter_getppid`") as caught:
            native.attach_tracepoint("one", "syscalls", "sys_enter_getppid")
        assert "attached there already" in str(caught.value.hint)


def test_tracepoints_by_regular_expression(load: Any, reader: Reader) -> None:
    body = f"{{ if ((u32)bpf_get_current_pid_tgid() == {reader.tid}) count.increment(0); return 0; }}"
    b = load(text=f"{COUNT} int one(void *ctx) {body}")
    b.attach_tracepoint(tp_re="syscalls:sys_(enter|exit)_read$", fn_name="one")
    assert b.num_open_tracepoints() == 2
    reader.read(3)
    assert count(b) == 6
    with pytest.raises(TargetNotFoundError, match="nothing matches"):
        b.attach_tracepoint(tp_re="nothing:.*", fn_name="one")
    with pytest.raises(TargetNotFoundError):
        b.attach_tracepoint(tp="syscalls:no_such_event", fn_name="one")
    with pytest.raises(ValueError, match="category:name"):
        b.attach_tracepoint(tp="sys_enter_read", fn_name="one")


def test_raw_tracepoints(load: Any, reader: Reader) -> None:
    number = 0
    text = f"""{COUNT}
    RAW_TRACEPOINT_PROBE(sys_enter) {{
        if ((u32)bpf_get_current_pid_tgid() == {reader.tid} && ctx->args[1] == {number}) count.increment(0);
        return 0;
    }}"""
    b = load(text=text)
    reader.read(11)
    assert count(b) == 11
    b.detach_raw_tracepoint("sys_enter")
    reader.read(11)
    assert count(b) == 11


def test_uprobes_at_entry_and_return(load: Any) -> None:
    text = f"""BPF_ARRAY(count, u64, 1); BPF_ARRAY(returned, u64, 1); BPF_ARRAY(argument, u64, 1);
    int entry(struct pt_regs *ctx, int number) {{
        {OURS}
        u64 given = number; int zero = 0;
        argument.update(&zero, &given);
        count.increment(0);
        return 0;
    }}
    int leave(struct pt_regs *ctx) {{ {OURS} returned.increment(0, PT_REGS_RC(ctx)); return 0; }}
    """
    b = load(text=text)
    libc = ctypes.CDLL("libc.so.6")
    b.attach_uprobe(name="c", sym="abs", fn_name="entry", pid=os.getpid())
    b.attach_uretprobe(name="c", sym=b"abs", fn_name="leave")
    for _ in range(7):
        assert libc.abs(-3) == 3
    assert (count(b), b["argument"][0].value & 0xFFFFFFFF, b["returned"][0].value) == (7, 2**32 - 3, 21)
    assert b.num_open_uprobes() == 2
    b.detach_uprobe(name="c", sym="abs", pid=os.getpid())
    b.detach_uretprobe(name="c", sym="abs")
    libc.abs(-3)
    assert count(b) == 7
    ((name, address),) = [found for found in BPF.get_user_functions_and_addresses("c", "labs$") if found[0] == b"labs"]
    assert name == b"labs"
    b.attach_uprobe(name="c", addr=address, fn_name="entry")
    libc.labs(-1)
    assert count(b) == 8
    with pytest.raises(TargetNotFoundError):
        b.attach_uprobe(name="c", sym="no_such_function_at_all", fn_name="entry")
    with pytest.raises(TargetNotFoundError):
        b.attach_uprobe(name="nosuchlibrary", sym="abs", fn_name="entry")


def test_perf_events_sample_every_cpu(load: Any) -> None:
    b = load(text=f"{COUNT} int tick(struct bpf_perf_event_data *ctx) {{ {OURS} count.increment(0); return 0; }}")
    b.attach_perf_event(PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS, "tick", sample_period=1)
    pages = 257
    with mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area.madvise(mmap.MADV_NOHUGEPAGE)
        before = count(b)
        for page in range(pages):
            area[page * mmap.PAGESIZE] = 1
        assert count(b) - before >= pages
    b.detach_perf_event(PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS)
    with pytest.raises(AttachError):
        b.detach_perf_event(PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS)


def test_counters_that_programs_read(load: Any, reader: Reader) -> None:
    text = f"""BPF_PERF_ARRAY(counter, 128); BPF_ARRAY(count, u64, 1);
    TRACEPOINT_PROBE(syscalls, sys_enter_read) {{
        if ((u32)bpf_get_current_pid_tgid() != {reader.tid}) return 0;
        u64 now = counter.perf_read(CUR_CPU_IDENTIFIER);
        if ((s64)now > 0) count.increment(0);
        return 0;
    }}"""
    b = load(text=text)
    b["counter"].open_perf_event(PerfType.SOFTWARE, PerfSWConfig.CPU_CLOCK)
    reader.read(7)
    assert count(b) == 7


def test_xdp_sees_the_packets_of_an_interface(load: Any) -> None:
    b = load(text=f"{COUNT} int pass_on(struct xdp_md *ctx) {{ count.increment(0); return XDP_PASS; }}")
    function = b.load_func("pass_on", BPF.XDP)
    assert (function.name, function.bpf) == (b"pass_on", b)
    assert function is b.load_func(b"pass_on", BPF.XDP)
    os.fstat(function.fd)
    BPF.attach_xdp("lo", function, XDPFlags.SKB_MODE)
    send_to_ourselves(5)
    BPF.remove_xdp("lo")
    seen = count(b)
    assert seen >= 5
    send_to_ourselves(5)
    assert count(b) == seen
    with pytest.raises(AttachError, match="nothing of this process"):
        BPF.remove_xdp("lo")


def test_raw_sockets_receive_what_the_program_lets_through(load: Any) -> None:
    b = load(text=f"{COUNT} int keep(struct __sk_buff *skb) {{ count.increment(0); return -1; }}")
    function = b.load_func("keep", BPF.SOCKET_FILTER)
    BPF.attach_raw_socket(function, "lo")
    send_to_ourselves(1, payload=b"known text")
    with socket.socket(fileno=os.dup(function.sock)) as received:
        received.settimeout(None)
        while b"known text" not in received.recv(2048):
            pass
    assert count(b) >= 1


def test_programs_on_a_cgroup(load: Any, cgroups: Path) -> None:
    b = load(text=f"{COUNT} int leave(struct __sk_buff *skb) {{ count.increment(0); return 1; }}")
    function = b.load_func("leave", BPF.CGROUP_SKB)
    group = os.open(cgroups, os.O_RDONLY)
    try:
        BPF.attach_func(function, group, BPFAttachType.CGROUP_INET_EGRESS)
        send_to_ourselves(3)
        assert count(b) >= 3
        BPF.detach_func(function, group, BPFAttachType.CGROUP_INET_EGRESS)
    finally:
        os.close(group)


def send_to_ourselves(times: int, payload: bytes = b"x") -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        here.bind(("127.0.0.1", 0))
        for _ in range(times):
            there.sendto(payload, here.getsockname())
            assert here.recv(64) == payload


def test_an_empty_program_can_be_asked_about_the_kernel() -> None:
    with BPF(text="") as b:
        assert b.get_syscall_fnname(b"openat").endswith(b"sys_openat")
        assert len(b) == 0


def test_what_is_asked_wrongly_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: 'none\.o'"):
        BPF(obj_file=b"none.o")
    with pytest.raises(TypeError, match="cflags must be a list of options, not '-DX'"):
        BPF(text="", cflags="-DX")
    with pytest.raises(ValueError, match="one of src_file, text and obj_file"):
        BPF()
    with pytest.raises(FileNotFoundError, match="here or beside the script"):
        BPF(src_file="no-such-file.c")


def test_python_ending_detaches_everything(reader: Reader) -> None:
    """Survived by nothing: the fixture around every test looks at the kernel afterwards."""
    code = """if True:
        from rtrace.bcc import BPF
        b = BPF(text="BPF_HASH(h); TRACEPOINT_PROBE(syscalls, sys_enter_read) { h.increment(1); return 0; }")
        print(b.num_open_tracepoints(), len(b["h"]) >= 0)
    """
    del reader
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1 True\n", "")
