"""However a measurement ends, nothing of it stays in the kernel. Every test here also runs `nothing_left_behind`."""

from __future__ import annotations

import copy
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rtrace
from tests.kernel import kernel_objects

if TYPE_CHECKING:
    from collections.abc import Callable

# A process of its own that is attached when it says so.
ATTACHED = """
import sys, time, rtrace
measurement = rtrace.vfsreadlat(by="comm", records=True)
print("attached", flush=True)
"""


class Child:
    """A Python process that has attached."""

    def __init__(self, rest: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ATTACHED + rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "attached\n"

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit status and what it complained of."""
        _, complaints = self.process.communicate(timeout=60)
        return self.process.returncode, complaints


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_nothing(number: signal.Signals) -> None:
    before = kernel_objects.survey()
    child = Child("time.sleep(600)")
    assert kernel_objects.survey()["programs"] - before["programs"]
    child.process.send_signal(number)
    assert child.end()[0] == -number
    assert kernel_objects.left_behind(before) == {}


# Short sleeps: a signal that comes between Python's last look for one and the system call does not end a long one.
SLEEPS = "while True: time.sleep(0.05)"


@pytest.mark.parametrize("blocked_in", [SLEEPS, "measurement.read()", "list(measurement)"])
def test_ctrl_c_ends_every_wait(blocked_in: str) -> None:
    # Only of process 2, a kernel thread: a read of records would end by itself otherwise.
    prepare = "measurement.close(); measurement = rtrace.vfsreadlat(pid=2, records=True)\n"
    child = Child(f"{prepare}print('waiting', flush=True)\n{blocked_in}")
    assert child.process.stdout is not None
    assert child.process.stdout.readline() == "waiting\n"
    child.process.send_signal(signal.SIGINT)
    status, complaints = child.end()
    assert status in {-signal.SIGINT, 1}
    assert "KeyboardInterrupt" in complaints


def test_an_exception_detaches() -> None:
    before = kernel_objects.survey()
    message = "on purpose"
    with pytest.raises(RuntimeError, match=message), rtrace.vfsreadlat(records=True):
        raise RuntimeError(message)
    assert kernel_objects.left_behind(before) == {}


def test_what_is_closed_leaves_nothing_even_while_it_is_referred_to() -> None:
    """As a notebook's variables do: memory shared with the kernel must not wait for the last reference."""
    before = kernel_objects.survey()
    calls = rtrace.vfsreadlat(records=True)
    events = rtrace.tracepoint_events("syscalls:sys_enter_read")
    for measurement in (calls, events):
        measurement.close()
    assert kernel_objects.left_behind(before) == {}
    assert calls.closed
    assert events.closed


@pytest.mark.parametrize("filters", ["", "warnings.simplefilter('always'); ", "warnings.simplefilter('error'); "])
def test_an_interpreter_that_ends_leaves_nothing(filters: str) -> None:
    before = kernel_objects.survey()
    status, complaints = Child(f"import warnings; {filters}sys.exit(0)").end()
    assert status == 0
    assert "panicked" not in complaints
    # Of a warning that is an error and cannot be raised any more, Python shows where it came from.
    assert complaints.count("Traceback") == int("error" in filters)
    assert "halted" not in complaints
    assert ("ResourceWarning: unclosed <FunctionLatency vfs_read" in complaints) == bool(filters)
    assert kernel_objects.left_behind(before) == {}


PAIR = ("syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid")


def durations(measurement: Any) -> set[float]:
    """Return how long all results that it can give say that it has lasted."""
    found = []
    if hasattr(measurement, "snapshot"):
        found.append(measurement.snapshot())
    if hasattr(measurement, "trace"):
        found.append(measurement.trace([]))
    return {result.duration for result in found}


@pytest.mark.parametrize(
    "make",
    [
        lambda: rtrace.tracepoint_events(PAIR[0]),
        lambda: rtrace.tracepoint_latency(*PAIR, key="tid", output="both"),
        rtrace.urandomread,
        rtrace.vfsreadlat,
    ],
)
def test_the_clock_stops_when_it_is_detached(make: Callable[[], Any]) -> None:
    with make() as measurement:
        running = min(durations(measurement))
        measurement.detach()
        (ended,) = durations(measurement)
        assert durations(measurement) == {ended}
        assert ended > running


def test_a_copy_would_be_the_end_of_it() -> None:
    with rtrace.tracepoint_events(PAIR[0]) as recording:
        with pytest.raises(TypeError, match=f"cannot copy or pickle the recording of `{PAIR[0]}`"):
            copy.copy(recording)
        os.getppid()
        assert len(recording.read(30))


def test_a_fork_does_not_keep_the_programs() -> None:
    """A child forked while tracing has copies of the descriptors until it execs or ends."""
    before = kernel_objects.survey()
    with rtrace.vfsreadlat():
        sleeper = subprocess.Popen(["sleep", "600"])
    try:
        assert kernel_objects.left_behind(before) == {}
    finally:
        sleeper.kill()
        sleeper.wait()


def test_closing_again_and_from_another_thread_changes_nothing() -> None:
    import threading

    measurement = rtrace.vfsreadlat(records=True)
    closers = [threading.Thread(target=measurement.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    measurement.close()
    assert measurement.closed


# Becomes nobody, and keeps what is in `mask` of the capabilities.
DROP = """
import ctypes, os, resource, struct
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (-1, -1))  # before 5.11 maps count against it
except ValueError:
    pass  # root without CAP_SYS_RESOURCE
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(8, 1, 0, 0, 0) == 0  # PR_SET_KEEPCAPS
os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})
version = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
assert libc.capset(version, struct.pack("=6I", {mask}, {mask}, 0, 0, 0, 0)) == 0
"""


def run_unprivileged(code: str, *capabilities: int) -> subprocess.CompletedProcess[str]:
    """Run Python as nobody; the interpreter and the package are opened before privilege is dropped."""
    opened = "import fnmatch, rtrace, numpy, rtrace._rtrace, rtrace.shapes.function_latency, rtrace.tracepoint\n"
    drop = DROP.format(nobody=pwd.getpwnam("nobody"), mask=sum(1 << number for number in capabilities))
    return subprocess.run(
        [sys.executable, "-c", opened + drop + code], capture_output=True, text=True, check=False, cwd="/"
    )


def test_without_privilege_the_error_says_what_is_missing() -> None:
    code = """
try:
    rtrace.vfsreadlat(duration=1)
except rtrace.PrivilegeError as error:
    assert isinstance(error, PermissionError)
    print(error.missing, error.errno, error.hint)
"""
    done = run_unprivileged(code)
    assert done.stdout.startswith("('CAP_PERFMON', 'CAP_BPF') 1 run as root"), done


@pytest.mark.parametrize(
    "call", ["rtrace.tracepoints()", "rtrace.tracepoint_format(TARGET)", "rtrace.tracepoint_events(TARGET)"]
)
def test_a_tracefs_that_cannot_be_read_is_a_matter_of_privilege(call: str) -> None:
    """With CAP_SYS_ADMIN alone it can be mounted, and is root's all the same."""
    code = f"""
TARGET = "sched:sched_switch"
try:
    {call}
except rtrace.PrivilegeError as error:
    print(error.missing, "in tracefs: Permission denied" in str(error), "CAP_DAC_READ_SEARCH" in error.hint)
"""
    done = run_unprivileged(code, 21)
    assert (done.stderr, done.stdout) == ("", "('CAP_DAC_READ_SEARCH',) True True\n")


def test_functions_that_stand_behind_system_calls_need_no_tracefs() -> None:
    code = """
with rtrace.vfsreadlat(mechanism="syscall") as measurement:
    print({link.kind for link in measurement._live().links})
"""
    done = run_unprivileged(code, 21)
    assert (done.stderr, done.stdout) == ("", "{'raw tracepoint'}\n")


def test_functions_can_be_looked_up_without_privilege() -> None:
    done = run_unprivileged("print(len(rtrace._rtrace.kernel_functions()) > 1000)")
    assert done.stdout == "True\n", done


def test_two_measurements_at_once_do_not_disturb_each_other() -> None:
    with rtrace.vfsreadlat(pid=os.getpid()) as one, rtrace.vfsreadlat(pid=os.getpid()) as two:
        before_one, before_two = one.snapshot().total, two.snapshot().total
        for _ in range(101):
            Path("/proc/self/stat").read_bytes()
        after_one, after_two = one.snapshot().total, two.snapshot().total
    assert after_one - before_one >= 101
    assert after_two - before_two >= 101


def test_without_btf_the_error_says_so_and_auto_goes_on() -> None:
    """The kernel's BTF hidden from one process, in a mount namespace of its own."""
    code = """
import rtrace
try:
    rtrace.vfsreadlat(mechanism="fentry", duration=1)
except (rtrace.BtfError, rtrace.NotSupportedError) as error:
    print(type(error).__name__, "|", error, "|", error.hint)
with rtrace.vfsreadlat() as measurement:
    print(measurement.mechanism, list(measurement.refused))
"""
    hidden = 'mount -t tmpfs none /sys/kernel/btf && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hidden, sys.executable, code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    refusal, chosen = done.stdout.splitlines()
    assert refusal.startswith("BtfError | BTF of `vmlinux`: cannot read it")
    assert "CONFIG_DEBUG_INFO_BTF" in refusal
    assert chosen.split()[0] in {"kprobe", "syscall"}
