"""The tables that few scripts have: of programs, maps, devices, CPUs, sockets, and what hangs off kernel objects."""

from __future__ import annotations

import ctypes as ct
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF, BPFAttachType
from rtrace.bcc.cpus import possible_cpus
from rtrace.bcc.table import CpuMap, DevMap, LruPerCpuHash, MapInMapArray, MapInMapHash, ProgArray, XskMap
from rtrace.bcc.tables.storage import CgroupStorage, OwnedStorage, PerCpuCgroupStorage, SockHash, SockMap
from rtrace.errors import MapError, NotSupportedError
from tests.kernel.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.conftest import Reader

# include/uapi/linux/if_xdp.h; Python has no names for these.
AF_XDP, SOL_XDP, XDP_RX_RING, XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING = 44, 283, 2, 5, 6
LOOPBACK = socket.if_nametoindex("lo")


def test_lru_per_cpu_hash(on_read: Callable[..., BPF], reader: Reader) -> None:
    body = "u32 key = 9; u64 zero = 0, *leaf = counts.lookup_or_try_init(&key, &zero); if (leaf) *leaf += 1;"
    b = on_read('BPF_TABLE("lru_percpu_hash", u32, u64, counts, 4096);', body)
    reader.read(101)
    counts = b["counts"]
    assert type(counts) is LruPerCpuHash
    assert counts.sum(9).value == sum(counts.getvalue(9)) == 101
    counts[5] = 3
    assert counts.sum(5).value == 3 * possible_cpus()
    assert {key.value: sum(leaf) for key, leaf in counts.items_lookup_and_delete_batch()} == {
        9: 101,
        5: 3 * possible_cpus(),
    }
    assert len(counts) == 0


def test_tail_calls_by_a_table_of_programs(on_read: Callable[..., BPF], reader: Reader) -> None:
    declarations = """BPF_PROG_ARRAY(programs, 4); BPF_ARRAY(seen, u64, 4);
    int second(struct tracepoint__syscalls__sys_enter_read *args) { seen.increment(2, args->count); return 0; }
    """
    b = on_read(declarations, "programs.call(args, 2); seen.increment(0);")
    programs = b["programs"]
    assert type(programs) is ProgArray
    reader.read(3)
    assert [leaf.value for leaf in b["seen"].values()] == [3, 0, 0, 0]
    # The kernel takes only programs that were loaded for the same thing as the caller.
    second = b.load_func("second", BPF.TRACEPOINT)
    programs[2] = second
    reader.read(5)
    assert [leaf.value for leaf in b["seen"].values()] == [3, 0, 5, 0]
    del programs[2]
    with pytest.raises(KeyError):
        del programs[2]
    programs[ct.c_int(2)] = ct.c_int(second.fd)
    reader.read(1)
    programs.clear()
    reader.read(1)
    assert [leaf.value for leaf in b["seen"].values()] == [4, 0, 6, 0]
    with pytest.raises(TypeError, match="`programs` takes a file descriptor or an object with one, not list"):
        programs[0] = []
    with pytest.raises(IndexError):
        programs[4] = second


def test_devices_and_cpus_to_redirect_to(on_read: Callable[..., BPF]) -> None:
    b = on_read("BPF_DEVMAP(devices, 4); BPF_CPUMAP(cpus, 1);", "")
    devices, cpus = b["devices"], b["cpus"]
    assert (type(devices), type(cpus)) == (DevMap, CpuMap)
    devices[1] = LOOPBACK
    assert devices[1].value == LOOPBACK
    assert 0 not in devices
    del devices[1]
    assert 1 not in devices
    with pytest.raises(MapError):
        devices[0] = 2**30
    cpus[0] = ct.c_uint(192)
    assert cpus[0].value == 192
    cpus.clear()
    assert 0 not in cpus


def test_sockets_of_xdp(on_read: Callable[..., BPF]) -> None:
    xsks = on_read("BPF_XSKMAP(xsks, 2);", "")["xsks"]
    assert type(xsks) is XskMap
    with socket.socket(AF_XDP, socket.SOCK_RAW) as xdp, socket.socket() as tcp:
        with pytest.raises(MapError):
            xsks[0] = tcp
        # Without rings it is no socket for such a map; Linux 7 asks for one to receive into, too.
        xdp.setsockopt(SOL_XDP, XDP_RX_RING, 64)
        xdp.setsockopt(SOL_XDP, XDP_UMEM_FILL_RING, 64)
        xdp.setsockopt(SOL_XDP, XDP_UMEM_COMPLETION_RING, 64)
        xsks[0] = xdp
        xsks[-1] = xdp.fileno()
        # Neither can a socket be looked up, nor does the kernel say that there was none to take out.
        del xsks[0]
        xsks.clear()
        with pytest.raises(MapError):
            xsks[1]


INNER = """
struct inner_t { int (*type)[2]; u32 *key; u64 *value; int (*max_entries)[4]; };
struct inner_t first SEC(".maps");
struct inner_t second SEC(".maps");
struct { int (*type)[12]; int (*max_entries)[4]; u32 *key; struct inner_t *values[]; } by_index SEC(".maps");
struct { int (*type)[13]; int (*max_entries)[4]; u64 *key; struct inner_t *values[]; } by_name SEC(".maps");
"""
CHOOSE = """
    u32 zero = 0; u64 name = 77, *leaf;
    void *chosen = bpf_map_lookup_elem(&by_index, &zero);
    if (chosen && (leaf = bpf_map_lookup_elem(chosen, &zero)))
        *leaf += 1;
    chosen = bpf_map_lookup_elem(&by_name, &name);
    if (chosen && (leaf = bpf_map_lookup_elem(chosen, &zero)))
        *leaf += 100;
"""


def test_maps_of_maps(on_read: Callable[..., BPF], reader: Reader) -> None:
    b = on_read(INNER, CHOOSE)
    by_index, by_name, first, second = b["by_index"], b["by_name"], b["first"], b["second"]
    assert (type(by_index), type(by_name)) == (MapInMapArray, MapInMapHash)
    reader.read(1)
    by_index[0] = first
    by_name[77] = second.map_fd
    reader.read(5)
    assert (first[0].value, second[0].value) == (5, 500)
    # Read, a leaf is the number of the map, not a descriptor.
    assert by_index[0].value != by_name[77].value
    assert [key.value for key, _ in by_name.items()] == [77]
    by_name[ct.c_uint64(77)] = first
    del by_index[0]
    reader.read(3)
    assert (first[0].value, second[0].value) == (305, 500)
    by_name.clear()
    reader.read(3)
    assert len(by_name) == 0
    assert first[0].value == 305


def test_storage_of_sockets_is_asked_by_descriptor(on_read: Callable[..., BPF]) -> None:
    of_sockets = on_read("BPF_SK_STORAGE(of_sockets, u64);", "")["of_sockets"]
    assert type(of_sockets) is OwnedStorage
    with socket.socket() as one, socket.socket() as other:
        of_sockets[one] = 11
        assert of_sockets[one.fileno()].value == 11
        assert other not in of_sockets
        with pytest.raises(NotSupportedError, match="list the entries of map `of_sockets`"):
            of_sockets.items()
        del of_sockets[one]
        assert one not in of_sockets


def test_storage_of_inodes_and_tasks(on_read: Callable[..., BPF], tmp_path: Path) -> None:
    if running() < (5, 11):
        pytest.skip("storage of tasks is younger than this kernel (5.11)")
    declarations = "BPF_INODE_STORAGE(of_inodes, int); BPF_TASK_STORAGE(of_tasks, u64);"
    b = on_read(declarations, "")
    of_inodes, of_tasks = b["of_inodes"], b["of_tasks"]
    (tmp_path / "one").touch()
    with (tmp_path / "one").open() as file, (tmp_path / "one").open() as again:
        try:
            of_inodes[file] = -3
        except MapError as error:
            # Where programs are no security module of the kernel, inodes have no room for what they keep.
            if lsm_is_on():
                raise
            assert error.errno
        else:
            assert of_inodes[again].value == -3
            del of_inodes[again]
            assert file not in of_inodes
    pidfd = os.pidfd_open(os.getpid())
    try:
        of_tasks[pidfd] = 7
        assert of_tasks[ct.c_int(pidfd)].value == 7
        del of_tasks[pidfd]
        assert pidfd not in of_tasks
    finally:
        os.close(pidfd)


def test_storage_of_cgroups(cgroups: Path) -> None:
    text = """BPF_CGROUP_STORAGE(of_cgroups, u64); BPF_PERCPU_CGROUP_STORAGE(of_cpus, u64);
    int leave(struct __sk_buff *skb)
    {
        __sync_fetch_and_add(of_cgroups.get_local_storage(0), 1);
        *of_cpus.get_local_storage(0) += 1;
        return 1;
    }"""
    with BPF(text=text) as b:
        function = b.load_func("leave", BPF.CGROUP_SKB)
        group = os.open(cgroups, os.O_RDONLY)
        try:
            BPF.attach_func(function, group, BPFAttachType.CGROUP_INET_EGRESS)
            with socket.socket(type=socket.SOCK_DGRAM) as there, socket.socket(type=socket.SOCK_DGRAM) as here:
                here.bind(("127.0.0.1", 0))
                for _ in range(3):
                    there.sendto(b"x", here.getsockname())
            of_cgroups, of_cpus = b["of_cgroups"], b["of_cpus"]
            assert (type(of_cgroups), type(of_cpus)) == (CgroupStorage, PerCpuCgroupStorage)
            ((key, leaf),) = of_cgroups.items()
            assert leaf.value >= 3
            assert (key.cgroup_inode_id, key.attach_type) == (
                os.fstat(group).st_ino,
                BPFAttachType.CGROUP_INET_EGRESS,
            )
            assert of_cpus.sum(key).value >= 3
            of_cgroups[key] = 0
            assert of_cgroups[key].value < leaf.value
            BPF.detach_func(function, group, BPFAttachType.CGROUP_INET_EGRESS)
        finally:
            os.close(group)


def test_sockets_to_redirect_to(on_read: Callable[..., BPF]) -> None:
    b = on_read("BPF_SOCKMAP(sockets, 4); BPF_SOCKHASH(by_port, u32, 4);", "")
    sockets, by_port = b["sockets"], b["by_port"]
    assert (type(sockets), type(by_port)) == (SockMap, SockHash)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        sockets[1] = client
        by_port[client.getsockname()[1]] = client.fileno()
        del sockets[1]
        del by_port[client.getsockname()[1]]
        with pytest.raises(KeyError):
            del by_port[client.getsockname()[1]]


def test_counters_are_taken_out_again(on_read: Callable[..., BPF], reader: Reader) -> None:
    text = "BPF_PERF_ARRAY(counter, 128); BPF_ARRAY(refused, u64, 1);"
    b = on_read(text, "u64 now = counter.perf_read(CUR_CPU_IDENTIFIER); if ((s64)now < 0) refused.increment(0);")
    counter: Any = b["counter"]
    counter.open_perf_event(1, 0)
    reader.read(3)
    assert b["refused"][0].value == 0
    del counter[0]
    counter.clear()
    reader.read(5)
    assert b["refused"][0].value == 5


def lsm_is_on() -> bool:
    """Whether programs are one of the kernel's security modules, as far as it tells."""
    return BPF.support_lsm()
