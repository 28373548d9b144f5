"""What the class tells of the kernel, itself and its maps, and kprobes by name and by regular expression."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import shutil
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF, Perf, PerfSWConfig, PerfType
from rtrace.bcc.cpus import online
from rtrace.bcc.discovery import tracefs
from rtrace.errors import AttachError, LoadError, NotSupportedError, TargetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = f"""
struct key_t {{ u32 pid; char comm[16]; u8 flag:3; }};
BPF_HASH(named, struct key_t, u64, 64);
BPF_ARRAY(count, u64, 2);
int enter(struct pt_regs *ctx)
{{
    if (bpf_get_current_pid_tgid() >> 32 == {os.getpid()}) count.increment(0);
    return 0;
}}
int leave(struct pt_regs *ctx)
{{
    if (bpf_get_current_pid_tgid() >> 32 == {os.getpid()}) count.increment(1);
    return 0;
}}
"""


@pytest.fixture
def b() -> Iterator[BPF]:
    with BPF(text=TEXT) as made:
        yield made


def counts(b: BPF) -> list[int]:
    return [leaf.value for leaf in b["count"].values()]


def work(times: int) -> None:
    """Run security_task_getpgid and security_task_getsid so often."""
    for _ in range(times):
        os.getpgid(os.getpid())
        os.getsid(os.getpid())


def touch(pages: int) -> None:
    """Have so many page faults in user space."""
    with mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(pages):
            area[page * mmap.PAGESIZE] = 1


def test_kprobes_by_name_and_by_regular_expression(b: BPF, needs: Callable[..., None]) -> None:
    both = b"security_task_get(pgid|sid)$"
    needs(lambda: b.attach_kprobe(event="security_task_getpgid", fn_name="enter"), since=(4, 17),
          option="CONFIG_KPROBES")  # fmt: skip
    b.attach_kretprobe(event=b"security_task_getsid", fn_name=b"leave")
    assert set(b.kprobe_fds) == {b"p_security_task_getpgid", b"r_security_task_getsid"}
    work(3)
    assert counts(b) == [3, 3]
    b.detach_kprobe("security_task_getpgid")
    b.detach_kretprobe(b"security_task_getsid", fn_name=b"leave")
    work(3)
    assert counts(b) == [3, 3]
    assert BPF.get_kprobe_functions(both) == {b"security_task_getpgid", b"security_task_getsid"}
    b.attach_kprobe(event_re=both, fn_name="enter").attach_kretprobe(event_re=both, fn_name="leave")
    assert b.num_open_kprobes() == 4
    work(5)
    assert counts(b) == [13, 13]
    assert b.missed() == 0
    b.detach_kprobe_event(b"p_security_task_getpgid")
    b.detach_kprobe_event_by_fn(b"p_security_task_getsid", b"enter")
    with pytest.raises(AttachError, match="it is not attached there"):
        b.detach_kprobe_event_by_fn(b"r_security_task_getsid", b"enter")
    work(1)
    assert counts(b) == [13, 15]
    b.attach_kprobe(event="security_task_getpgid", event_off=0, fn_name="enter")
    with pytest.raises(TargetNotFoundError):
        b.attach_kprobe(event="no_such_function_at_all", fn_name="enter")


def test_what_is_asked_of_kprobes_wrongly(b: BPF, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="attach kprobe: no function given"):
        b.attach_kprobe(fn_name="enter")
    with pytest.raises(ValueError, match="attach kretprobe: no function given"):
        b.attach_kretprobe(fn_name="leave")
    with pytest.raises(LoadError, match="no program `nothing` in `<text>`; it has enter, leave"):
        b.attach_kprobe(event="vfs_read", fn_name="nothing")
    with pytest.raises(TargetNotFoundError, match="attach kprobe to `no_such_function_at_all`: nothing matches"):
        b.attach_kprobe(event_re="no_such_function_at_all", fn_name="enter")
    monkeypatch.setenv("BCC_PROBE_LIMIT", "1")
    assert BPF.get_probe_limit() == 1
    with pytest.raises(AttachError, match="1 may be at once") as caught:
        b.attach_kprobe(event_re="security_task_get.*", fn_name="enter")
    assert "BCC_PROBE_LIMIT" in str(caught.value.hint)


def test_uprobes_by_regular_expression(b: BPF) -> None:
    names = BPF.get_user_functions("c", b"get(pgid|sid)$")
    assert names == {b"getpgid", b"getsid"}
    b.attach_uprobe(name="c", sym_re=b"get(pgid|sid)$", fn_name="enter", pid=os.getpid())
    work(3)
    assert counts(b) == [6, 0]
    for place in list(b.uprobe_fds):
        b.detach_uprobe_event(place)
    work(1)
    assert (counts(b), b.num_open_uprobes()) == ([6, 0], 0)


def test_perf_events_by_their_attributes(b: BPF) -> None:
    attributes: Any = Perf.perf_event_attr()
    attributes.type, attributes.config = PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS
    attributes.sample_period = 1
    b.load_func("enter", BPF.PERF_EVENT)
    b.attach_perf_event_raw(attributes, "enter", pid=os.getpid())
    assert list(b.open_perf_events) == [(PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS)]
    pages = 101
    touch(pages)
    assert counts(b)[0] >= pages
    b.detach_perf_event(PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS)
    assert b.open_perf_events == {}


def test_all_attributes_of_perf_events_reach_the_kernel(b: BPF) -> None:
    attributes: Any = Perf.perf_event_attr()
    attributes.type, attributes.config = PerfType.SOFTWARE, PerfSWConfig.PAGE_FAULTS
    attributes.sample_period, attributes.exclude_user = 1, 1
    b.attach_perf_event_raw(attributes, "enter", pid=os.getpid())
    touch(101)
    assert counts(b)[0] < 101
    assert "perf event type 1 config 0x2" in b._repr_html_()
    b.detach_perf_event(attributes.type, attributes.config)
    attributes.exclude_user, attributes.exclude_kernel = 0, 1
    b.attach_perf_event_raw(attributes, "enter", pid=os.getpid(), cpu=-1)
    before = counts(b)[0]
    touch(103)
    assert counts(b)[0] - before >= 103


def test_perf_events_that_there_are_not(b: BPF) -> None:
    attributes: Any = Perf.perf_event_attr(type=PerfType.SOFTWARE, config=999, sample_period=1)
    with pytest.raises(TargetNotFoundError, match="attach perf event `enter` to `type 1 config 0x3e7`: no such event"):
        b.attach_perf_event_raw(attributes, "enter")
    attributes.config, attributes.read_format = PerfSWConfig.CPU_CLOCK, 1 << 60
    with pytest.raises(AttachError, match="invalid argument"):
        b.attach_perf_event_raw(attributes, "enter")
    with pytest.raises(TypeError, match="a Perf.perf_event_attr, not int"):
        b.attach_perf_event_raw(fn_name="enter")
    assert b.open_perf_events == {}
    with pytest.raises(FileNotFoundError):
        Perf.perf_custom_event_open(Perf.perf_event_attr(type=PerfType.SOFTWARE, config=999))


def test_perf_events_without_a_program() -> None:
    identifier = int((Path(tracefs()) / "events/sched/sched_switch/id").read_text())
    for opened in (
        Perf.perf_event_open(identifier, pid=os.getpid()),
        Perf.perf_event_open(PerfSWConfig.CPU_CLOCK, ptype=PerfType.SOFTWARE, freq=99),
        Perf.perf_custom_event_open(Perf.perf_event_attr(type=PerfType.SOFTWARE, config=PerfSWConfig.PAGE_FAULTS)),
    ):
        assert len(opened) == len(online())
        for event in opened:
            assert len(os.read(event, 8)) == 8
            os.close(event)


def test_tables_are_listed_once_by_the_bytes_of_their_names(b: BPF) -> None:
    named = b["named"]
    assert b["count"] is b[b"count"]
    assert (len(b), list(b), list(b.keys())) == (2, [b"named", b"count"], [b"named", b"count"])
    assert b.items() == [(b"named", named), (b"count", b["count"])]
    assert b.values() == [named, b["count"]]
    del b["count"]
    assert list(b) == [b"named"]
    b["mine"] = 5
    assert b[b"mine"] == 5


def test_programs_and_layouts_as_text(b: BPF) -> None:
    code = b.dump_func(b"enter")
    assert len(code) % 8 == 0
    lines = b.disassemble_func("enter").splitlines()
    assert lines[-1].endswith("exit")
    assert len(lines) <= len(code) // 8
    head, *layout = b.decode_table(b"named", sizeinfo=True).splitlines()
    assert head == f"map named (type 1, 64 entries, fd {b['named'].map_fd})"
    assert layout == [
        "key: struct key_t {",
        "    unsigned int pid;  // 4 bytes at 0",
        "    char comm[16];  // 16 bytes at 4",
        "    unsigned char flag : 3;  // 1 bytes at 20",
        "};  // 24 bytes",
        "value: unsigned long long;  // 8 bytes",
    ]
    assert b.decode_table("count").splitlines()[1:] == ["key: unsigned int;", "value: unsigned long long;"]
    functions = b.load_funcs(BPF.KPROBE)
    assert [function.name for function in functions] == [b"enter", b"leave"]
    assert functions[0] is b.load_func("enter", BPF.KPROBE)


def test_what_the_kernel_has() -> None:
    assert BPF.kernel_struct_has_field(b"task_struct", "pid") == 1
    assert BPF.kernel_struct_has_field("task_struct", b"no_such_member") == 0
    assert BPF.kernel_struct_has_field("no_such_struct", "pid") == -1
    assert BPF.kernel_enum_has_val("bpf_map_type", b"BPF_MAP_TYPE_HASH") == 1
    assert BPF.kernel_enum_has_val("bpf_map_type", "BPF_MAP_TYPE_NONE_SUCH") == 0
    assert BPF.kernel_enum_has_val("no_such_enum", "X") == -1
    assert BPF.get_tracepoints("sched:sched_process_(exec|exit)$") == [
        b"sched:sched_process_exec",
        b"sched:sched_process_exit",
    ]
    assert BPF.tracepoint_exists("sched", b"sched_switch")
    assert not BPF.tracepoint_exists("sched", "no_such_event")
    assert BPF.support_raw_tracepoint()
    name = BPF.get_syscall_fnname("read")
    assert name == BPF.get_syscall_prefix() + b"read" == BPF.fix_syscall_fnname(b"sys_read")
    assert BPF.fix_syscall_fnname("vfs_read") == b"vfs_read"
    assert BPF.ksymname(name) > 0
    found = BPF.get_kprobe_functions(rb"vfs_read$|vfs_write$|.*\.cold$")
    assert found == {b"vfs_read", b"vfs_write"}
    assert BPF.generate_auto_includes([b"sock"]) == ""
    assert abs(BPF.monotonic_time() - float(Path("/proc/uptime").read_text().split()[0]) * 1e9) < 1e12


def test_constructions_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no source file `nothing\.h`"):
        BPF(text="", hdr_file="nothing.h")
    header = tmp_path / "mine.h"
    header.touch()
    with BPF(text="", hdr_file=os.fsencode(header), allow_rlimit=False) as b:
        assert b.free_bcc_memory() == 0
        with pytest.raises(NotSupportedError, match="not a type that can be loaded by number"):
            b.load_func("f", 26)
    with pytest.raises(NotSupportedError, match="into the network card `eth0`"):
        BPF(text="", device=b"eth0")


def test_what_is_loaded_stays_as_long_as_a_part_of_it() -> None:
    before = len(os.listdir("/proc/self/fd"))
    counted = BPF(text=TEXT)["count"]
    counted[1] = 5
    gc.collect()
    assert counted[1].value == 5
    assert not counted.is_histogram
    with pytest.raises(ReferenceError, match=r"the BPF object of <Array count max_entries=2> is gone"):
        _ = counted.bpf
    program = BPF(text=TEXT).load_func("enter", BPF.KPROBE)
    assert "bpf-prog" in os.readlink(f"/proc/self/fd/{program.fd}")
    del counted, program
    assert len(os.listdir("/proc/self/fd")) == before
    with BPF(text=TEXT) as b:
        assert b["count"].bpf is b
        assert b.load_func("enter", BPF.KPROBE).bpf is b


def test_a_function_that_refuses_does_not_keep_the_object() -> None:
    def attach(name: bytes) -> None:
        if name == b"first":
            message = "no such probe"
            raise AttachError(message)

    gc.collect()
    gc.disable()
    try:
        b = BPF(text=TEXT)
        b._attach_many("kprobe", ".*", [b"first", b"second"], attach)
        kept = weakref.ref(b)
        del b
        assert kept() is None
    finally:
        gc.enable()


def test_paths_are_any_bytes_and_names_are_utf8(b: BPF, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.so"
    source = os.fsencode(tmp_path) + b"/\xff.c"
    shutil.copy(os.fsdecode(BPF.find_library("c") or b""), os.fsdecode(path))
    Path(os.fsdecode(source)).write_text("int f(void *ctx) { return 0; }")
    library = ctypes.CDLL(os.fsdecode(path))
    b.attach_uprobe(name=path, sym="getppid", fn_name="enter")
    for _ in range(3):
        library.getppid()
    b.detach_uprobe(name=path, sym=b"getppid")
    library.getppid()
    assert counts(b) == [3, 0]
    BPF(src_file=source).close()
    refused: list[tuple[Callable[..., object], dict[str, Any], str]] = [
        (b.attach_tracepoint, {"tp": "syscalls:sys_enter_read", "fn_name": b"\xff"}, "program"),
        (b.attach_tracepoint, {"tp": b"\xff", "fn_name": "enter"}, "tracepoint"),
        (b.attach_kprobe, {"event": b"\xff", "fn_name": "enter"}, "function"),
        (b.attach_uprobe, {"name": b"\xff", "sym": "f", "fn_name": "enter"}, "library or program"),
        (b.attach_uprobe, {"name": "c", "sym": b"\xff", "fn_name": "enter"}, "function"),
        (b.dump_func, {"func_name": b"\xff"}, "program"),
    ]
    for attempt, arguments, what in refused:
        with pytest.raises(ValueError, match=rf"^{what} b'\\xff' is no UTF-8"):
            attempt(**arguments)
    with pytest.raises(AttachError, match="not attached there"):
        b.detach_kprobe(b"\xff")


def test_waiting_for_events_ends_when_told(b: BPF) -> None:
    b.perf_buffer_poll(timeout=0)
    b.perf_buffer_poll(1)
    assert b.ring_buffer_poll(timeout=1) == 0
    assert b.ring_buffer_consume() == 0
    b.close()
    b.cleanup()
