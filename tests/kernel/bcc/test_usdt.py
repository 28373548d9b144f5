"""USDT probes and symbols the way that bcc's scripts use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF, USDT
from rtrace.errors import CompileError
from tests.kernel.shop import Shop, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = 7
SOURCE = """
#include <uapi/linux/ptrace.h>
struct sale { u64 price; u64 last; int count; };
BPF_QUEUE(sales, struct sale, 64);
int on_buy(struct pt_regs *ctx) {
    struct sale sale = {};
    bpf_usdt_readarg(1, ctx, &sale.count);
    bpf_usdt_readarg(2, ctx, &sale.price);
    bpf_usdt_readarg(3, ctx, &sale.last);
    sales.push(&sale, 0);
    return 0;
}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    running = start(tmp_path)
    yield running
    running.end()


def sales(b: BPF) -> list[tuple[int, int, int]]:
    return [(sale.count, sale.price, sale.last) for sale in b["sales"].values()]


@pytest.mark.parametrize("by", ["pid", "path"])
def test_a_script_with_a_usdt_probe(shop: Shop, by: str) -> None:
    context = USDT(pid=shop.process.pid) if by == "pid" else USDT(path=str(shop.path))
    context.enable_probe(probe="shop:buy", fn_name="on_buy")
    b = BPF(text=SOURCE, usdt_contexts=[context])
    assert b.num_open_uprobes() == 2
    assert shop.call(CALLS) == 4
    wanted: list[tuple[int, int, int]] = []
    for count in range(CALLS, 0, -1):
        wanted += [(-count, 22, 44), (-5, 11, count)]
    assert sales(b) == wanted
    b.cleanup()
    assert shop.call(1) == 0


def test_several_contexts(shop: Shop) -> None:
    contexts = [USDT(pid=shop.process.pid), USDT(path=str(shop.path))]
    for context, function in zip(contexts, ("on_buy", "on_sale"), strict=True):
        context.enable_probe("buy", function)
    second = "BPF_ARRAY(seen, u64, 1); int on_sale(void *ctx) { u64 n = 0; bpf_usdt_readarg(2, ctx, &n); seen.increment(0, n); return 0; }"  # noqa: E501  # a line of C
    b = BPF(text=SOURCE + second, usdt_contexts=contexts)
    # The kernel counts places, not programs.
    assert shop.call(CALLS) == 4
    assert len(sales(b)) == 2 * CALLS
    assert b["seen"][0].value == 33 * CALLS
    b.cleanup()


def test_two_processes_of_one_program(shop: Shop) -> None:
    other = Shop(shop.path)
    contexts = [USDT(pid=one.process.pid) for one in (shop, other)]
    for context in contexts:
        context.enable_probe("buy", "on_buy")
    with BPF(text=SOURCE, usdt_contexts=contexts) as b:
        assert b.num_open_uprobes() == 4
        for one, calls in ((shop, 3), (other, 2)):
            one.call(calls)
            wanted = [[(-count, 22, 44), (-5, 11, count)] for count in range(calls, 0, -1)]
            assert sales(b) == [sale for pair in wanted for sale in pair]
    other.end()


def test_an_argument_that_the_probe_does_not_have(shop: Shop) -> None:
    context = USDT(pid=shop.process.pid)
    context.enable_probe("buy", "on_buy")
    with pytest.raises(CompileError):
        BPF(text=SOURCE.replace("readarg(3,", "readarg(4,"), usdt_contexts=[context])


def test_names_of_stacks_and_of_functions(shop: Shop) -> None:
    text = """
    BPF_STACK_TRACE(stacks, 64);
    BPF_HASH(ids, u32, int);
    int on_call(struct pt_regs *ctx) {
        u32 kind = 0;
        int id = stacks.get_stackid(ctx, BPF_F_USER_STACK);
        ids.update(&kind, &id);
        return 0;
    }
    """
    b: Any = BPF(text=text)
    pid = shop.process.pid
    b.attach_uprobe(name=str(shop.path), sym="again", fn_name="on_call", pid=pid)
    shop.call(1)
    [found] = [value.value for value in b["ids"].values()]
    assert found >= 0
    stack = list(b["stacks"].walk(found))
    assert b.sym(stack[0], pid, show_module=True, show_offset=True) == b"again+0x0 [shop]"
    functions = dict(BPF.get_user_functions_and_addresses(str(shop.path), "again$|buy$"))
    assert set(functions) == {b"again", b"buy"}
    b.cleanup()
    # The same function by its address instead of its name.
    b = BPF(text=text)
    b.attach_uprobe(name=str(shop.path), addr=functions[b"again"], fn_name="on_call", pid=pid)
    shop.call(1)
    assert len(b["ids"]) == 1
    b.cleanup()
