"""What every test on a live kernel needs: privilege, a known workload, and nothing left behind."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import subprocess
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtrace.errors import NotSupportedError, PrivilegeError
from tests.kernel import kernel_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import rtrace

FORCED = os.environ.get("RTRACE_KERNEL_TESTS") == "1"
CLONE_NEWNET = 0x40000000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them where they cannot run, unless they must."""
    for item in items:
        if "tests/kernel/" in item.nodeid:
            item.add_marker(pytest.mark.kernel)
            if os.geteuid() != 0 and not FORCED:
                item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_collection_finish() -> None:
    """Let the garbage collector, which runs after each test, look only at what tests make.

    What is there before them makes a run of it take 30 ms, and many times that on an emulated CPU.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Look for programs, maps, links, probes, mounts and descriptors that a test did not clean up."""
    before = kernel_objects.survey()
    yield
    assert kernel_objects.left_behind(before) == {}


def running() -> tuple[int, int]:
    """Return major and minor number of the running kernel."""
    major, minor, *_ = platform.release().split(".")
    return int(major), int(minor)


@pytest.fixture
def needs() -> Callable[..., None]:
    """Return a function that skips if, and only if, the kernel may lack the feature.

    It runs `action`; only a NotSupportedError, and only where the kernel really lacks what it is about or is older
    than `since`, is a reason to skip. A refusal by a security module counts on the development machines alone.
    """

    def check(action: Callable[[], object], *, since: tuple[int, int], option: str | None = None) -> None:
        try:
            action()
        except NotSupportedError as error:
            if running() >= since and (option is None or has_option(option)):
                raise
            pytest.skip(str(error))
        except PrivilegeError as error:
            if os.environ.get("RTRACE_VM") or error.missing:
                raise
            pytest.skip(str(error))

    return check


def has_option(option: str) -> bool:
    """Whether the running kernel was built with a CONFIG option; unknown counts as yes."""
    import gzip

    try:
        with gzip.open("/proc/config.gz", "rt") as config:
            return f"{option}=y\n" in config.read()
    except FileNotFoundError:
        return True


class Reader:
    """A thread of our own that reads one byte at a time, as often as it is told."""

    def __init__(self) -> None:
        self._file = os.open("/dev/zero", os.O_RDONLY)
        self._jobs: list[int] = []
        self._wake = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self.tid = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._done.acquire()

    def _run(self) -> None:
        self.tid = threading.get_native_id()
        self._done.release()
        while True:
            self._wake.acquire()
            times = self._jobs.pop()
            if times < 0:
                return
            for _ in range(times):
                os.read(self._file, 1)
            self._done.release()

    def read(self, times: int) -> None:
        """Read so many times; return when done."""
        self._jobs.append(times)
        self._wake.release()
        self._done.acquire()

    def close(self) -> None:
        """End the thread."""
        self._jobs.append(-1)
        self._wake.release()
        self._thread.join()
        os.close(self._file)


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Return a thread whose reads are known to the last one."""
    made = Reader()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def losses_fail() -> Iterator[None]:
    """Turn every warning of lost events into a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def disk_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file on a disk, or the kernel's own test disk where there is no other."""
    if "RTRACE_VM" not in os.environ:
        return tmp_path_factory.mktemp("disk") / "data"
    subprocess.run(["modprobe", "null_blk"], check=True)
    return Path("/dev/nullb0")


def open_for_direct_writes(path: Path, size: int) -> int:
    """Open a file or disk that is written past the page cache, laid out to `size` bytes."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    if path.is_file():
        # Laid out first: otherwise the file system writes of its own to lay it out.
        os.posix_fallocate(file, 0, size)
    os.fsync(file)
    return file


def writes_of_ours(disk_file: Path, size: int) -> str:
    """Return the filter for writes of ours of one size.

    A disk that is nobody else's is known by its number: older kernels issue requests from a thread of their own.
    """
    ours = f"tid == {threading.get_native_id()}"
    if disk_file.is_block_device():
        device = disk_file.stat().st_rdev
        ours = f"dev == {os.major(device) << 20 | os.minor(device)}"
    return f"{ours} and bytes == {size} and rwbs ~ 'W*'"


@pytest.fixture
def own_network() -> Iterator[None]:
    """Put this thread into a network namespace of its own, whose loopback interface is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
        assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


def told_missing(measurement: rtrace.Recording | rtrace.TracepointLatency) -> int:
    """Return how many pairs a measurement says that it could not make.

    On a busy machine the kernel (6.18) does not run a program at every end, and counts that nowhere: the start stays,
    or is overwritten by that of the next request in its place.
    """
    losses, observed = measurement.losses(), measurement.observed()
    session = measurement._live().session
    missed = sum(session.object.program_info(link.program)["recursion_misses"] for link in session.links)
    return missed + losses.get("starts_overwritten", 0) + observed["starts_not_ended"]


def collect(recording: rtrace.Recording | rtrace.TracepointLatency, count: int) -> np.ndarray:
    """Read until so many records have come."""
    batches = [recording.read(timeout=30)]
    while sum(map(len, batches)) < count:
        batch = recording.read(timeout=30)
        assert len(batch), "no record came"
        batches.append(batch)
    return np.concatenate(batches)
