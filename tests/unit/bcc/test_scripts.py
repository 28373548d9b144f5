"""What scripts import under bcc's names."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace, bcc
from rtrace.bcc import BPF, StrcmpRewrite, containers, exec, syscall, table, tcp, utils  # noqa: A004  # bcc's name for it
from rtrace.bcc.names import raw, text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SCRIPT = """
import sys
import bcc
import bcc.utils as tools
from bcc import BPF, PerfHWConfig, PerfSWConfig, PerfType, StrcmpRewrite, USDT, ArgString, tcp, utils
from bcc import BPFAttachType, BPFProgType, USDTException, DEBUG_SOURCE, XDPFlags, TRACEFS, DEBUGFS, Table
from bcc import BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, get_online_cpus, __version__
from bcc.version import __version__
from bcc.usdt import USDTException as again
from bcc.containers import filter_by_containers
from bcc.exec import run_cmd
from bcc.perf import Perf
from bcc.syscall import syscall_name
from bcc.table import HashTable, get_json_hist, BPF_MAP_TYPE_HASH, log2_index_max, get_possible_cpus
from bcc.utils import printb, get_online_cpus, positive_int_list, disable_stdout, StrcmpRewrite as same
assert again is USDTException and same is StrcmpRewrite
assert tools is utils and bcc.BPF is BPF and BPF.KPROBE == BPFProgType.KPROBE
printb(b"%s %s" % (syscall_name(39), ArgString(sys.argv[1]).__bytes__()))
print(__name__, sys.argv)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "rtrace.bcc", *arguments], capture_output=True, text=True, check=False)


def test_a_script_finds_rtrace_for_bcc(tmp_path: Path) -> None:
    script = tmp_path / "tool-bpfcc"
    script.write_text(SCRIPT)
    done = run(str(script), "-p", "7")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"getpid -p\n__main__ {[str(script), '-p', '7']}\n"


@pytest.mark.parametrize(("arguments", "status"), [((), 2), (("-h",), 0), (("no-such-script",), 2)])
def test_without_a_script_there_is_usage(arguments: tuple[str, ...], status: int) -> None:
    done = run(*arguments)
    assert done.returncode == status
    assert "usage: python -m rtrace.bcc SCRIPT" in done.stderr


def test_names_are_taken_both_ways() -> None:
    assert text(b"vfs_read") == text("vfs_read") == "vfs_read"
    assert raw(b"a\xff") == raw(text(b"a\xff")) == b"a\xff"


def test_strcmp_becomes_a_function_for_each_comparison() -> None:
    done = StrcmpRewrite.rewrite_expr('STRCMP("a b", arg1) && STRCMP("c", arg2)', 0, "", ["arg2"], "", 4)
    assert done["expr"] == 'streq_4("a b", arg1) && streq_5("c", arg2)'
    assert done["probeid"] == 6
    first, second = done["streq_functions"].split("static inline ")[1:]
    assert 'char wanted[] = "a b";' in first
    assert "bpf_probe_read_kernel(" in first
    assert "bpf_probe_read_user(" in second


def test_strcmp_of_bytes_leaves_the_quotes_out() -> None:
    done = StrcmpRewrite.rewrite_expr('STRCMP("{1, 2, 0}", arg1)', 1, "", [], "", 0)
    assert "char wanted[] = {1, 2, 0};" in done["streq_functions"]


def test_containers_are_filtered_by_pinned_maps() -> None:
    nothing = containers.filter_by_containers(Namespace(cgroupmap=None, mntnsmap=None))
    assert nothing.count("return 0;") == 2
    both = containers.filter_by_containers(Namespace(cgroupmap="/sys/fs/bpf/c", mntnsmap="/sys/fs/bpf/m"))
    assert 'BPF_TABLE_PINNED("hash", u64, u64, cgroupset, 1024, "/sys/fs/bpf/c");' in both
    assert 'BPF_TABLE_PINNED("hash", u64, u32, mount_ns_set, 1024, "/sys/fs/bpf/m");' in both
    assert "static inline int container_should_be_filtered(void)" in both


def test_words_of_tcp() -> None:
    assert tcp.flags2str(tcp.TCPHDR_FIN | tcp.TCPHDR_CWR) == "FIN|CWR"
    assert [tcp.TCPHDR_SYN, tcp.TCPHDR_RST, tcp.TCPHDR_PSH] == [2, 4, 8]
    assert [tcp.TCPHDR_ACK, tcp.TCPHDR_URG, tcp.TCPHDR_ECE] == [16, 32, 64]
    assert (tcp.state2str(1), tcp.state2str(12), tcp.state2str(99)) == ("ESTABLISHED", "NEW_SYN_RECV", "UNKNOWN")
    assert tcp.tcpstate[7] == "CLOSE"
    assert tcp.flags2str(0x12) == "SYN|ACK"


def test_system_calls_have_names() -> None:
    number = next(number for number, name in syscall.syscalls.items() if name == b"getpid")
    assert syscall.syscall_name(number) == b"getpid"
    assert syscall.syscall_name(1023) == b"[unknown: 1023]"


def test_the_language_of_a_process_is_told_by_what_it_maps() -> None:
    assert utils.detect_language(["java", "python"], os.getpid()) == "python"
    assert utils.detect_language(["java"], os.getpid()) is None


def test_a_command_waits_until_it_is_let_go(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    exec.run_cmd(["touch", str(mark)])
    assert not exec.cmd_exited()
    assert not mark.exists()
    exec.cmd_ready()
    while not exec.cmd_exited():
        pass
    assert mark.exists()


def test_numbers_of_the_command_line() -> None:
    assert (utils.positive_int("0"), utils.positive_nonzero_int("7"), utils.positive_int_list("9, 15")) == (
        0,
        7,
        [9, 15],
    )
    for kind, word in (
        (utils.positive_int, "-1"),
        (utils.positive_nonzero_int, "0"),
        (utils.positive_nonzero_int, "-1"),
        (utils.positive_int_list, "1,-1"),
    ):
        with pytest.raises(ArgumentTypeError, match="must be (positive|nonzero)"):
            kind(word)
        with pytest.raises(ValueError, match="invalid literal"):
            kind("x")


def test_stdout_can_be_disabled(capsys: pytest.CaptureFixture[str]) -> None:
    shown = sys.stdout
    with utils.disable_stdout() as (before, say):
        print("not seen")  # noqa: T201
        utils.printb(b"not seen")
        say(b"not seen")
        assert before is shown
    assert sys.stdout is shown
    # As bcc's function, which nothing ends.
    before, _ = utils.disable_stdout()
    nowhere, sys.stdout = sys.stdout, before
    nowhere.close()
    utils.printb(b"seen")
    assert capsys.readouterr().out == "seen\n"


def test_what_bcc_calls_things() -> None:
    assert (table.BPF_MAP_TYPE_HASH, table.BPF_MAP_TYPE_TASK_STORAGE, bcc.BPF_MAP_TYPE_QUEUE) == (1, 29, 22)
    assert sorted(table.map_type_name) == list(range(1, 30))
    assert (table.get_table_type_name(10), table.get_table_type_name(0)) == ("LRU_PERCPU_HASH", "<unknown>")
    assert (table.log2_index_max, table.linear_index_max, table.stars_max) == (65, 1025, 40)
    assert bcc.DEBUGFS == "/sys/kernel/debug"
    assert bcc.TRACEFS in {"/sys/kernel/debug/tracing", "/sys/kernel/tracing"}
    assert bcc.get_online_cpus is utils.get_online_cpus
    assert BPF.Table is bcc.Table is table.Table
    assert BPF.str2ctype["unsigned long long"](2**64 - 1).value == 2**64 - 1
    # Scripts compare it with versions of bcc.
    assert bcc.__version__ == "0.35.0"
    assert {"TRACEFS", "Table", "version"} <= set(dir(bcc))


def test_a_module_that_is_not_there_is_warned_about() -> None:
    with pytest.warns(RuntimeWarning, match="read the symbols of `/no/such`: no such file; addresses in it will be"):
        BPF.add_module(b"/no/such")


def test_where_the_kernels_structs_have_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BPF.kernel_struct_field_size_offset(b"iphdr", b"version") == 4 << 32 | 4
    assert BPF.kernel_struct_field_size_offset("iphdr", "ttl") == 8 << 32 | 64
    # The same by BTF and by the compiler; and a member of an unnamed union.
    by_btf = BPF.kernel_struct_field_size_offset("task_struct", "pid")
    monkeypatch.setattr(_rtrace, "struct_member", lambda *_: None)
    assert BPF.kernel_struct_field_size_offset("task_struct", "pid") == by_btf
    assert BPF.kernel_struct_field_size_offset("page", "lru") == 128 << 32 | 64
    for struct, member in (("task_struct", "no_such"), ("no_such", "pid")):
        assert BPF.kernel_struct_field_size_offset(struct, member) == 0xFFFF_FFFF_FFFF_FFFF


@pytest.mark.parametrize(
    ("facts", "error", "said"),
    [
        ({"usdt_contexts": [5]}, TypeError, r"usdt_contexts must be a list of USDT objects, not \[5\]"),
        ({"usdt_contexts": 5}, TypeError, "usdt_contexts must be a list of USDT objects, not 5"),
        ({"debug": "x"}, TypeError, "debug must be a sum of DEBUG_ flags, not 'x'"),
        ({"cflags": [b"-DX=\xff"]}, ValueError, r"compiler option b'-DX=\\xff' is no UTF-8"),
    ],
)
def test_arguments_of_another_kind_are_named(facts: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        BPF(text="", **facts)
