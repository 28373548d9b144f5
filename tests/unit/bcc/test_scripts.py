"""What scripts import under bcc's names."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from rtrace.bcc import StrcmpRewrite, containers, exec, syscall, tcp, utils  # noqa: A004  # bcc's name for it
from rtrace.bcc.names import raw, text

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys
import bcc
import bcc.utils as tools
from bcc import BPF, PerfHWConfig, PerfSWConfig, PerfType, StrcmpRewrite, USDT, ArgString, tcp, utils
from bcc import BPFAttachType, BPFProgType, USDTException, DEBUG_SOURCE, XDPFlags
from bcc.containers import filter_by_containers
from bcc.exec import run_cmd
from bcc.perf import Perf
from bcc.syscall import syscall_name
from bcc.table import HashTable, get_json_hist
from bcc.utils import printb, get_online_cpus
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
