"""XDP, raw sockets and cgroup programs, on the loopback interface of a network namespace of the test's own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtrace.errors import AttachError, TargetNotFoundError
from tests.child import in_a_child
from tests.kernel.c_programs import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace._rtrace import Link, Object

SOURCE = """
LICENSE;
COUNTERS
struct packet { u32 length; };
SEC("xdp/see") int see(void *ctx) { COUNT(0); return 2; }
SEC("xdp/drop") int drop(void *ctx) { COUNT(1); return 1; }
/* What the socket gets: the whole of packets of 128 bytes and more, nothing of others. */
SEC("socket/long_only") int long_only(struct packet *packet) { COUNT(2); return packet->length >= 128 ? -1 : 0; }
SEC("cgroup/connect4") int connect4(void *ctx) { COUNT(3); return 0; }
SEC("tc/classify") int classify(void *ctx) { return 0; }
SEC("sk_msg") int message(void *ctx) { return 1; }
struct { __uint(type, 15); __type(key, u32); __type(value, u32); __uint(max_entries, 2); } sockets SEC(".maps");
"""
CGROUP_INET4_CONNECT, SK_MSG_VERDICT = 10, 7
ALLOW_MULTI = 2


@pytest.fixture
def loaded() -> Iterator[Object]:
    with compile_c(SOURCE).load({"see": None, "drop": None, "long_only": None}) as made:
        yield made


def counts(loaded: Object) -> list[int]:
    return [int(loaded.map("counts").lookup(index)) for index in range(4)]


class Pair:
    """A UDP socket that receives what another sends, over the loopback interface."""

    def __init__(self) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(("127.0.0.1", 0))
        self.receiver.settimeout(0)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(self.receiver.getsockname())

    def send(self, times: int, data: bytes = b"x") -> int:
        """Send so many packets; return how many came."""
        came = 0
        for _ in range(times):
            self.sender.send(data)
            try:
                self.receiver.recv(2048)
                came += 1
            except BlockingIOError:
                pass
        return came

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


@pytest.fixture
def pair(own_network: None) -> Iterator[Pair]:
    del own_network
    made = Pair()
    yield made
    made.close()


def test_xdp_sees_and_drops_every_packet(loaded: Object, pair: Pair) -> None:
    with loaded.attach_xdp("see", "lo", flags=2) as link:
        assert (link.kind, link.target) == ("xdp", "lo")
        assert pair.send(101) == 101
        assert counts(loaded)[:2] == [101, 0]
        with pytest.raises(AttachError, match="attach xdp `drop` to `lo`"):
            loaded.attach_xdp("drop", "lo", flags=2)
    with loaded.attach_xdp("drop", "lo", flags=2):
        assert pair.send(11) == 0
    assert pair.send(103) == 103
    assert counts(loaded)[:2] == [101, 11]


def test_an_interface_that_is_not_there_is_told(loaded: Object) -> None:
    with pytest.raises(TargetNotFoundError, match="attach xdp to `none0`: no such network interface"):
        loaded.attach_xdp("see", "none0")
    with pytest.raises(TargetNotFoundError, match="attach socket to `none0`: no such network interface"):
        loaded.open_raw_socket("long_only", "none0")


def everything(raw: socket.socket) -> Iterator[bytes]:
    """Receive until nothing is left."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield raw.recv(2048)


def test_a_second_program_on_an_interface_has_a_way_out(loaded: Object, pair: Pair) -> None:
    del pair
    with loaded.attach_xdp("see", "lo", flags=2):
        with pytest.raises(AttachError, match="attach xdp `drop` to `lo`") as caught:
            loaded.attach_xdp("drop", "lo", flags=2)
        assert "close its link first" in str(caught.value.hint)


@pytest.mark.parametrize("interface", ["lo", ""])
def test_a_raw_socket_gets_what_the_program_lets_through(loaded: Object, pair: Pair, interface: str) -> None:
    with socket.socket(fileno=loaded.open_raw_socket("long_only", interface)) as raw:
        assert raw.family == socket.AF_PACKET
        assert not os.get_blocking(raw.fileno())
        raw.settimeout(0)
        pair.send(11, b"short")
        pair.send(7, b"long" * 64)
        received = list(everything(raw))
    # The loopback interface shows each packet as it goes out and as it comes in.
    assert len(received) == 14
    assert all(packet.endswith(b"long" * 64) for packet in received)
    assert counts(loaded)[2] == 36


def attached_to(cgroup: Path, loaded: Object) -> tuple[Link, int]:
    """Attach to a cgroup that this process moves into; return the descriptor's number, which is closed again, too."""
    loaded.load_program("connect4")
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    descriptor = os.open(cgroup, os.O_RDONLY)
    link = loaded.attach_to_fd("connect4", descriptor, CGROUP_INET4_CONNECT, ALLOW_MULTI)
    os.close(descriptor)
    return link, descriptor


def test_a_cgroup_program_decides_until_it_is_detached(loaded: Object, cgroup: Path) -> None:
    link, descriptor = attached_to(cgroup, loaded)
    assert (link.kind, link.target) == ("cgroup/connect4", f"file descriptor {descriptor}")
    with link, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as refused, pytest.raises(PermissionError):
        refused.connect(("127.0.0.1", 9))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as allowed:
        allowed.connect(("127.0.0.1", 9))
    assert counts(loaded)[3] == 1
    assert link.closed


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_fork_does_not_detach_what_its_parent_has_attached(loaded: Object, cgroup: Path) -> None:
    link, _ = attached_to(cgroup, loaded)

    def child() -> bool:
        link.close()
        return link.closed

    with link:
        assert in_a_child(child)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as refused, pytest.raises(PermissionError):
            refused.connect(("127.0.0.1", 9))


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """Make a cgroup, whether the hierarchy is mounted or not, and leave it at the end."""
    mounted = tmp_path / "cgroup"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", mounted], check=True)
    home = mounted / Path("/proc/self/cgroup").read_text().split("0::/")[1].splitlines()[0]
    made = mounted / f"rtrace-test-{os.getpid()}"
    made.mkdir()
    yield made
    (home / "cgroup.procs").write_text(str(os.getpid()))
    made.rmdir()
    subprocess.run(["umount", mounted], check=True)


def test_a_program_on_a_map_of_sockets(loaded: Object) -> None:
    loaded.load_program("message")
    with loaded.attach_to_fd("message", loaded.map("sockets").fd, SK_MSG_VERDICT) as link:
        assert link.kind == "sk_msg"


def test_a_descriptor_of_nothing_is_refused(loaded: Object) -> None:
    loaded.load_program("connect4")
    with pytest.raises(AttachError, match="attach cgroup/connect4 `connect4` to `file descriptor 1000000`"):
        loaded.attach_to_fd("connect4", 1_000_000, CGROUP_INET4_CONNECT)


def test_a_classifier_loads(loaded: Object) -> None:
    loaded.load_program("classify")
    assert loaded.program_fd("classify") > sys.stderr.fileno()
