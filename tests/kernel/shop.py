"""A program of our own with USDT probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.child import Child
from tests.unit.symbols.programs import NOTE, build

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = (
    NOTE
    + """
long write(int, const void *, unsigned long);
long read(int, void *, unsigned long);
volatile unsigned short semaphore __attribute__((section(".probes")));
long prices[4] = {11, 22, 33, 44};
int buy(int count, long *price)
{
    __asm__ volatile("buying: nop\\n"
        NOTE("buying", "semaphore", "shop", "buy", "-4@%edi 8@8(%rsi) 8@prices+24(%rip)"));
    return semaphore;
}
int again(int count, long *price)
{
    __asm__ volatile("nop\\nbuying_again: nop\\n"
        NOTE("buying_again", "semaphore", "shop", "buy", "-4@$-5 8@(%rsi) -4@%edi"));
    return semaphore;
}
int main(void)
{
    char calls;
    while (read(0, &calls, 1) == 1) {
        char listeners = 0;
        for (; calls; calls--)
            listeners = buy(-calls, prices) + again(calls, prices);
        write(1, &listeners, 1);
    }
    return 0;
}
"""
)


class Shop(Child):
    """A running program that calls its functions as often as it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, bufsize=0)
        self.path = path

    def call(self, times: int) -> int:
        """Return how many listeners its probes had, twice."""
        self.input.write(bytes([times]))
        return (self.output.read(1) or b"")[0]


def start(folder: Path, kind: str = "-pie") -> Shop:
    """Build it, position independent (`-pie`) or not (`-no-pie`), and run it."""
    code = "-fPIE" if kind == "-pie" else "-fno-pie"
    return Shop(build(folder / "shop", PROGRAM, code, kind))
