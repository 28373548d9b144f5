"""What the lessons share: workloads of their own, and recorded data for where a measurement is not possible.

``RTRACE_RECORDED=1`` in the environment takes the recorded data in any case. ``RTRACE_RECORD=FOLDER`` saves what is
measured there, which is how the recorded data were made.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import mmap
import os
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import recorded_bpf
import rtrace
from rtrace import tracepoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result", rtrace.Histogram, rtrace.Trace)

DATA = Path(__file__).with_name("data")
RECORDED = os.environ.get("RTRACE_RECORDED") == "1"
RECORD = os.environ.get("RTRACE_RECORD")
BLOCK = 4096


def live_or_recorded(name: str, measure: Callable[[], Result]) -> Result:
    """Return what `measure` returns, or where that is not possible the result recorded as ``data/NAME.npz``.

    Says which of them it is, and why.
    """
    if RECORDED:
        return recorded(name, "as RTRACE_RECORDED=1 asks for")
    try:
        result = measure()
    except rtrace.RtraceError as error:
        return recorded(name, f"since here it is not possible ({type(error).__name__}: {error})")
    if RECORD:
        save(Path(RECORD) / f"{name}.npz", result)
    print(f"LIVE: measured on this machine just now ({result.duration:.1f} s)")
    return result


def recorded(name: str, why: str) -> Result:
    """Load recorded data, and say so."""
    path = DATA / f"{name}.npz"
    with np.load(path) as file:
        kind = rtrace.Histogram if "counts" in file else rtrace.Trace
    result = kind.load(path)
    print(f"RECORDED: data/{name}.npz, on Linux {result.kernel}, {why}")
    return result


def save(path: Path, result: Result) -> None:
    """Keep a result, without what is nobody's business: where and when it was."""
    options = {name: value for name, value in result.options.items() if name not in {"pid", "tid", "cgroup"}}
    if isinstance(result, rtrace.Trace):
        dataclasses.replace(result, host="", started=None, clock_offset_ns=0, options=options).save(path)
    else:
        facts = {**result.to_dict(), "host": "", "started": None, "options": options}
        rtrace.Histogram.from_dict(facts).save(path)


def bpf_or_recorded(
    name: str, measure: Callable[[], rtrace.BPF | recorded_bpf.RecordedBPF]
) -> rtrace.BPF | recorded_bpf.RecordedBPF:
    """Return the BPF object that `measure` returns, or where that is not possible one recorded as ``data/NAME.npz``.

    Says which of them it is, and why.
    """
    why = "as RTRACE_RECORDED=1 asks for"
    if not RECORDED:
        try:
            bpf = measure()
        except rtrace.RtraceError as error:
            # An error may show lines of a program; the first says what it is.
            why = f"since here it is not possible ({type(error).__name__}: {str(error).splitlines()[0]})"
        else:
            if RECORD and isinstance(bpf, rtrace.BPF):
                recorded_bpf.save(Path(RECORD) / f"{name}.npz", bpf, os.uname().release)
                bpf.close()
                return recorded_bpf.load(Path(RECORD) / f"{name}.npz")
            if isinstance(bpf, rtrace.BPF):
                print("LIVE: counted by the program on this machine just now")
                return bpf
            why = "since here no program can be loaded"
    return recorded_object(name, why)


def recorded_object(name: str, why: str) -> recorded_bpf.RecordedBPF:
    """Load a recorded BPF object, and say so."""
    found = recorded_bpf.load(DATA / f"{name}.npz")
    print(f"RECORDED: data/{name}.npz, on Linux {found.kernel}, {why}")
    return found


def load_magic(**records: str) -> None:
    """Bring ``%%bpf`` into the notebook; where no program can be loaded, let it bind recorded data to its names."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415  # there, in a notebook

    shell = get_ipython()
    shell.run_line_magic("load_ext", "rtrace")
    why = "as RTRACE_RECORDED=1 asks for"
    if not RECORDED:
        try:
            rtrace.BPF(text="TRACEPOINT_PROBE(syscalls, sys_enter_getppid) { return 0; }").close()
        except rtrace.RtraceError as error:
            why = f"since here it is not possible ({type(error).__name__}: {error})"
        else:
            return

    def stand_in(line: str, _cell: str) -> recorded_bpf.RecordedBPF:
        found = shell.user_ns[line] = recorded_object(records[line], why)
        return found

    shell.register_magic_function(stand_in, magic_kind="cell", magic_name="bpf")


def tracepoints(pattern: str) -> tracepoint.TracepointList:
    """List tracepoints of this kernel, or of the one where the lessons were recorded."""
    with contextlib.suppress(rtrace.RtraceError):
        if not RECORDED:
            return rtrace.tracepoints(pattern)
    names = (DATA / "tracepoints.txt").read_text().split()
    return tracepoint.TracepointList(fnmatch.filter(names, pattern))


def tracepoint_format(target: str) -> rtrace.TracepointFormat:
    """Tell the fields of a tracepoint of this kernel, or of one where the lessons were recorded."""
    with contextlib.suppress(rtrace.RtraceError):
        if not RECORDED:
            return rtrace.tracepoint_format(target)
    return tracepoint.parse(target, (DATA / f"{target.replace(':', '_')}.format").read_text())


def can_trace() -> bool:
    """Whether something can be measured here, for what makes no sense with recorded data; says so if not."""
    if not RECORDED and rtrace.doctor().ok:
        return True
    print("left out: this shows a measurement while it runs, which needs a machine that can be measured")
    return False


@contextlib.contextmanager
def busy(*works: Callable[[], object]) -> Iterator[None]:
    """Do these again and again, each in a thread of its own, until the block is left."""
    stop = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def read_files() -> None:
    """Read a file that is in memory, 16 times 4 KiB, and rest for 1 ms."""
    with os.fdopen(os.memfd_create("lesson"), "r+b", buffering=0) as file:
        file.write(bytes(16 * BLOCK))
        file.seek(0)
        while file.read(BLOCK):
            pass
    time.sleep(1e-3)


def run_dd() -> None:
    """Run another program that reads: dd, 50 times 4 KiB."""
    command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=4k", "count=50", "status=none"]
    subprocess.run(command, check=True)  # noqa: S603


def read_slowly() -> None:
    """Read from a pipe that somebody writes to only now and then: 1 ms a read."""
    reading, writing = os.pipe()

    def write() -> None:
        for _ in range(20):
            time.sleep(1e-3)
            os.write(writing, b"x")
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    while os.read(reading, 1):
        pass
    thread.join()
    os.close(reading)


def read_random() -> None:
    """Take random bytes from the device, and from the system call."""
    # The kernel of a test may have a device of its own, whose reads hit the tracepoint that Linux has lost.
    own = "/dev/rtrace_urandom"
    with open(own if os.path.exists(own) else "/dev/urandom", "rb", buffering=0) as device:
        for size in (16, 256, 1024):
            device.read(size)
    os.getrandom(32)
    os.getrandom(256)
    time.sleep(1e-3)


@contextlib.contextmanager
def busy_disk(threads: int = 8) -> Iterator[None]:
    """Write and read a file past the page cache, in sizes from 4 to 256 KiB, from several threads at once."""
    sizes = (BLOCK, 4 * BLOCK, 16 * BLOCK, 64 * BLOCK)
    with contextlib.ExitStack() as stack:
        # A guest that only boots to test a lesson has no disk: the kernel has one for tests.
        path = Path("/dev/nullb0")
        if "RTRACE_VM" in os.environ:
            subprocess.run(["modprobe", "null_blk"], check=True)  # noqa: S607  # wherever it is
        else:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.home()))) / "data"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        stack.callback(os.close, file)
        if path.is_file():
            os.posix_fallocate(file, 0, threads * sizes[-1])

        def work(place: int) -> None:
            # Memory of its own, aligned as the disk asks for.
            with mmap.mmap(-1, sizes[-1]) as memory:
                for size in sizes:
                    with memoryview(memory)[:size] as view:
                        os.pwritev(file, [view], place * sizes[-1])
                        os.preadv(file, [view], place * sizes[-1])

        stack.enter_context(busy(*(lambda place=place: work(place) for place in range(threads))))
        yield


def talk() -> None:
    """Connect to a server of our own on the loopback, say something, hear it back, hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        served, _ = server.accept()
        with client, served:
            for _ in range(20):
                client.sendall(b"x" * 512)
                served.recv(512)
                served.sendall(b"y" * 512)
                client.recv(512)


def cold_file(pages: int) -> str:
    """Write a file and make the kernel forget it, so that reading it goes to the disk; return its path."""
    handle, path = tempfile.mkstemp(dir=Path.home())
    os.write(handle, os.urandom(pages * BLOCK))
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)
    return path
