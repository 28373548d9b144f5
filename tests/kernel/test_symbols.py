"""The kernel's names and addresses; probes on functions and USDT probes of a program of our own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtrace import _rtrace
from rtrace.bcc import symbols
from rtrace.bcc.usdt import USDT
from tests.kernel.c_programs import compile_c
from tests.kernel.shop import Shop, start
from tests.unit.symbols.programs import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtrace._rtrace import Object

CALLS = 7


def kallsyms() -> list[tuple[int, str, str, str | None]]:
    """Return the kernel's own list: address, kind, name, module."""
    words = [line.split() for line in Path("/proc/kallsyms").read_text(encoding="ascii").splitlines()]
    return [(int(word[0], 16), word[1], word[2], word[3].strip("[]") if len(word) > 3 else None) for word in words]


def test_every_function_of_the_kernel_has_its_name() -> None:
    listed = [entry for entry in kallsyms() if entry[0] >> 63]
    first: dict[int, tuple[str, str | None]] = {}
    for address, _, name, module in listed:
        first.setdefault(address, (name, module))
    kernel = _rtrace.KernelSymbols()
    # BPF programs come and go.
    wanted = {at: known for at, known in first.items() if known[1] != "bpf" and known[0] != "_end"}
    found = kernel.resolve_many(np.array(list(wanted), dtype=np.uint64))
    wrong = [(at, known, one) for (at, known), one in zip(wanted.items(), found, strict=True) if one != (*known, 0)]
    assert not wrong
    assert len(wanted) > 10_000


def test_names_and_addresses_of_one_function() -> None:
    kernel = _rtrace.KernelSymbols()
    address = next(at for at, _, name, module in kallsyms() if name == "vfs_read" and module is None)
    assert kernel.address("vfs_read") == address
    assert kernel.resolve(address + 5) == ("vfs_read", None, 5)
    assert kernel.address("no_such_function") is None
    assert kernel.resolve(0x1234) is None
    kernel.refresh()
    assert kernel.address("vfs_read") == address
    assert symbols.ksymname("vfs_read") == address
    assert symbols.ksymname(b"no_such_function") == -1
    assert symbols.ksym(address + 5, show_module=True, show_offset=True) == b"vfs_read+0x5 [kernel]"
    assert symbols.ksym(0x1234, show_module=True, show_offset=True) == b"[unknown]"


# The C of a probe that a script would write; sums tell whether every value was read.
SOURCE = """
LICENSE;
typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef u32 uint32_t; typedef u64 uint64_t;
typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long long int64_t, s64;
typedef unsigned long size_t;
#define __always_inline inline __attribute__((always_inline))
struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define PT_REGS_IP(x) ((x)->ip)
static long (*bpf_probe_read_user)(void *dst, u32 size, const void *from) = (void *)112;
struct { __uint(type, ARRAY); __type(key, u32); __type(value, s64); __uint(max_entries, 8); } sums SEC(".maps");
static inline void add(u32 number, s64 value)
{
    s64 *sum = bpf_map_lookup_elem(&sums, &number);
    if (sum) __sync_fetch_and_add(sum, value);
}
SEC("uprobe/entry") int entry(void *ctx) { add(0, 1); return 0; }
SEC("uprobe/on_buy") int on_buy(struct pt_regs *ctx)
{
    int count = 0; s64 price = 0, last = 0;
    int error = _bpf_readarg_on_buy_1(ctx, &count, sizeof(count));
    error |= _bpf_readarg_on_buy_2(ctx, &price, sizeof(price));
    error |= _bpf_readarg_on_buy_3(ctx, &last, sizeof(last));
    add(1, 1); add(2, count); add(3, price); add(4, last); add(5, error);
    return 0;
}
"""


@pytest.fixture(params=["-pie", "-no-pie"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    running = start(tmp_path, request.param)
    yield running
    running.end()


def sums(loaded: Object) -> list[int]:
    return [int(loaded.map("sums").lookup(index)) for index in range(6)]


@pytest.mark.parametrize("by_pid", [False, True], ids=["path", "pid"])
def test_usdt_arguments_of_every_call(shop: Shop, by_pid: bool) -> None:  # noqa: FBT001  # pytest's way
    context = USDT(pid=shop.process.pid) if by_pid else USDT(path=str(shop.path))
    context.enable_probe("shop:buy", "on_buy")
    text = SOURCE.replace('SEC("uprobe/entry")', context.get_text() + '\nSEC("uprobe/entry")')
    with compile_c(text).load({"on_buy": None}) as loaded:
        links: list[_rtrace.Link] = []

        class Bpf:
            def attach_uprobe_at(  # as BPF has it
                self, _prefix: str, path: str, offset: int, function: str, pid: int, semaphore_offset: int
            ) -> None:
                link = loaded.attach_uprobe(
                    function, path, offset, pid=pid if pid > 0 else None, semaphore_offset=semaphore_offset
                )
                links.append(link)

        assert shop.call(1) == 0
        context.attach_uprobes(Bpf())
        # Both places count as listeners to the one semaphore, which both functions return.
        assert shop.call(CALLS) == 4
        for link in links:
            link.close()
        assert shop.call(1) == 0
        counts = range(1, CALLS + 1)
        first, again = CALLS, CALLS
        assert sums(loaded) == [
            0,
            first + again,
            -sum(counts) - 5 * again,
            22 * first + 11 * again,
            44 * first + sum(counts),
            0,
        ]


def test_a_function_is_probed_where_its_symbol_says(shop: Shop) -> None:
    found = _rtrace.find_library(str(shop.path), pid=shop.process.pid)
    assert found is not None
    offset = _rtrace.elf_symbol_offset(found, "buy")
    assert offset is not None
    text = SOURCE.replace(SOURCE[SOURCE.index('SEC("uprobe/on_buy")') :], "")
    with (
        compile_c(text).load({"entry": None}) as loaded,
        loaded.attach_uprobe("entry", found, offset, pid=shop.process.pid),
    ):
        shop.call(CALLS)
        assert sums(loaded)[0] == CALLS


def test_the_replaced_file_of_a_process_is_probed(shop: Shop) -> None:
    """Whoever updates a program replaces its file; processes still run the old one."""
    pid = shop.process.pid
    other = build(shop.path.with_name("other"), "int main(void) { return 0; }")
    os.replace(other, shop.path)
    probes = [probe for probe in _rtrace.usdt_probes(pid=pid) if probe["provider"] == "shop"]
    assert [probe["name"] for probe in probes] == ["buy"]
    assert probes[0]["path"].startswith(f"/proc/{pid}/map_files/")
    assert len(_rtrace.usdt_probes(probes[0]["path"])) == 1
    names = _rtrace.ProcessSymbols(pid)
    address = names.address(None, "again")
    assert address is not None
    assert names.resolve(address) == ("again", str(shop.path), 0)
