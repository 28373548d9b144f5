"""Every tracepoint of the kernel: attached, hit where a test can, and detached."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rtrace
from rtrace._rtrace import close_all, syscall_name
from rtrace.errors import TargetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = os.sysconf("SC_PAGE_SIZE")
# Attached at a time: each holds a ring buffer and a thread.
TOGETHER = 64
# In an emulated guest as many as take some seconds: detaching waits for the kernel's CPUs, one tracepoint at a time.
IN_GUESTS = 50
# Not called by the test: what ends, stops or doubles the caller (exit, exit_group, pause, fork, vfork), what only the
# kernel's own code may call (the return from a signal, from a uretprobe, a uprobe), and what does something with any
# arguments (vhangup, sync, msgget).
NOT_CALLED = {
    "exit", "exit_group", "pause", "fork", "vfork", "rt_sigreturn", "uretprobe", "uprobe", "vhangup", "sync", "msgget",
}  # fmt: skip
# As many as a call has registers, none of which is a descriptor, an address or a set of flags.
NONSENSE = [ctypes.c_long(-1)] * 6
LAST_CALL = 512


def sample(names: list[str]) -> list[str]:
    """Take all of them on a machine, some in a guest."""
    if "RTRACE_VM" not in os.environ:
        return names
    return names[:: max(1, len(names) // IN_GUESTS)]


def one_of_each_kind(names: list[str]) -> list[str]:
    """Leave out those whose records have the same fields as another's: the same program would run for them."""
    kinds = {}
    for name in names:
        fields = rtrace.tracepoint_format(name).fields
        kinds[tuple((field.name, field.c_type, field.offset, field.size) for field in fields)] = name
    return list(kinds.values())


def batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), TOGETHER):
        yield names[start : start + TOGETHER]


def test_every_kind_of_tracepoint_attaches_and_detaches() -> None:
    """For a process that does nothing; only ftrace's own records, which have formats as well, are refused.

    Entries of system calls have a test of their own. Of the others there are 2,000, but 800 kinds, and this takes half
    a minute of waiting: the kernel lets two of RCU's grace periods pass for each tracepoint that it detaches from,
    40 ms, under a lock that all tracepoints share, so that nobody can wait for two together.
    """
    names = [name for name in rtrace.tracepoints() if not name.startswith(("ftrace:", "syscalls:sys_enter_"))]
    assert len(names) > 500
    for together in batches(one_of_each_kind(sample(names))):
        with ExitStack() as stack:
            held = [stack.enter_context(rtrace.tracepoint_events(name, pid=1, ring_bytes=PAGE)) for name in together]
            close_all([link for recording in held for link in recording._records.session.links])


def test_what_ftrace_writes_itself_is_refused() -> None:
    names = rtrace.tracepoints("ftrace:*")
    assert "ftrace:function" in names
    for name in names:
        with pytest.raises(TargetNotFoundError, match="a record of ftrace's own and no tracepoint") as caught:
            rtrace.tracepoint_events(name)
        assert caught.value.target == name


class Caller:
    """A child that calls every system call with nonsense when told, and tells what each returned."""

    def __init__(self) -> None:
        self._wake, told = socket.socketpair()
        self.calls = [number for number in range(LAST_CALL) if syscall_name(number) not in NOT_CALLED]
        self.pid = os.fork()
        if self.pid == 0:
            self._wake.close()
            try:
                self._serve(told)
            finally:
                os._exit(1)
        told.close()

    def _serve(self, told: socket.socket) -> None:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
        syscall.restype = ctypes.c_long
        # Whatever a call makes: the child's own end.
        signal.alarm(600)
        while told.recv(1):
            results = [syscall(ctypes.c_long(number), *NONSENSE) for number in self.calls]
            # One of them takes the alarm back.
            signal.alarm(600)
            told.sendall(b"".join(result.to_bytes(8, "little", signed=True) for result in results))
        os._exit(0)

    def call(self) -> dict[int, int]:
        """Have them called; return what each returned, -1 for errors."""
        self._wake.sendall(b"!")
        text = b""
        while len(text) < 8 * len(self.calls):
            more = self._wake.recv(1 << 16)
            assert more, "the calls ended the child"
            text += more
        return dict(zip(self.calls, np.frombuffer(text, "<i8").tolist(), strict=True))

    def close(self) -> None:
        self._wake.close()
        assert os.waitpid(self.pid, 0)[1] == 0


@pytest.fixture
def caller() -> Iterator[Caller]:
    made = Caller()
    yield made
    made.close()


def test_every_system_call_arrives_with_its_arguments(caller: Caller) -> None:
    """Called once with nonsense: one record at its entry, with that in every argument."""
    names = list(rtrace.tracepoints("syscalls:sys_enter_*"))
    assert len(names) > 300
    silent = set()
    for together in batches(sample(names)):
        with ExitStack() as stack:
            held = [
                stack.enter_context(rtrace.tracepoint_events(name, pid=caller.pid, ring_bytes=4 * PAGE))
                for name in together
            ]
            caller.call()
            for name, recording in zip(together, held, strict=True):
                # All there: a read never misses what was written before it began.
                records = recording.read(timeout=0)
                columns = records.dtype.names or ()
                # Newer kernels add what addresses point to, and its length.
                arguments = [
                    column
                    for column in columns[columns.index("__syscall_nr") + 1 :]
                    if records.dtype[column] in {np.dtype("i8"), np.dtype("u8")}
                ]
                nonsense = np.ones(len(records), bool)
                for argument in arguments:
                    nonsense &= records[argument].astype(np.int64) == -1
                if not nonsense.any():
                    silent.add(name.removeprefix("syscalls:sys_enter_"))
                    continue
                # One without arguments may have been made by the child's own code as well.
                assert nonsense.sum() == 1 or not arguments, name
                assert recording.losses() == {}
            close_all([link for recording in held for link in recording._records.session.links])
    assert silent <= NOT_CALLED


def test_every_system_call_arrives_with_its_result(caller: Caller) -> None:
    """Some of the exits: they are one kind of record, and the entries above show that each call is told apart."""
    names = rtrace.tracepoints("syscalls:sys_exit_*")[5::12]
    with ExitStack() as stack:
        held = [
            stack.enter_context(rtrace.tracepoint_events(name, pid=caller.pid, ring_bytes=4 * PAGE)) for name in names
        ]
        results = caller.call()
        seen = 0
        for recording in held:
            records = recording.read(timeout=0)
            for number in np.unique(records["__syscall_nr"]).tolist():
                result = results[number]
                returned = records["ret"][records["__syscall_nr"] == number].astype(np.int64)
                # The C library makes -1 of the numbers of errors.
                assert ((returned < 0) if result == -1 else (returned == result)).any(), (recording.target, result)
                seen += 1
        close_all([link for recording in held for link in recording._records.session.links])
    assert seen > len(names) // 2


def fork_and_wait() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def switch() -> None:
    both = threading.Barrier(2)
    other = threading.Thread(target=both.wait)
    other.start()
    both.wait()
    other.join()


def signal_ourselves() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def set_timer() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def touch_memory() -> None:
    with mmap.mmap(-1, 64 * PAGE) as memory:
        for page in range(64):
            memory[page * PAGE] = 1


def rename() -> None:
    name = Path("/proc/thread-self/comm")
    before = name.read_text().rstrip("\n")
    name.write_text("renamed")
    name.write_text(before)


def score() -> None:
    Path("/proc/self/oom_score_adj").write_text(Path("/proc/self/oom_score_adj").read_text())


def connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()


def send() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.sendto(b"x", one.getsockname())
        one.recv(1)


def wait_a_moment() -> None:
    select.select([], [], [], 0.001)


HITS: dict[str, Callable[[], object]] = {
    "exceptions:page_fault_user": touch_memory,
    "kmem:mm_page_alloc": touch_memory,
    "kmem:kmem_cache_alloc": fork_and_wait,
    "net:net_dev_queue": send,
    "net:netif_rx": send,
    "oom:oom_score_adj_update": score,
    "raw_syscalls:sys_enter": os.getppid,
    "raw_syscalls:sys_exit": os.getppid,
    "sched:sched_process_fork": fork_and_wait,
    "sched:sched_process_wait": fork_and_wait,
    "sched:sched_switch": switch,
    "sched:sched_wakeup_new": fork_and_wait,
    "sched:sched_waking": switch,
    "signal:signal_deliver": signal_ourselves,
    "signal:signal_generate": signal_ourselves,
    "sock:inet_sock_set_state": connect,
    "task:task_newtask": fork_and_wait,
    "task:task_rename": rename,
    "timer:hrtimer_start": wait_a_moment,
    "timer:itimer_state": set_timer,
}


@pytest.mark.parametrize("name", HITS)
def test_what_we_do_is_recorded(name: str) -> None:
    with rtrace.tracepoint_events(name, pid=os.getpid()) as recording:
        HITS[name]()
        records = recording.read(timeout=10)
        assert len(records), "no record came"
        assert (records["pid"] == os.getpid()).all()
