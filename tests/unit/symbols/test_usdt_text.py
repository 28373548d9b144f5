"""The C that reads arguments, run on this machine with registers and memory that we make up."""

from __future__ import annotations

import ctypes
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.bcc.usdt import USDT, USDTException
from rtrace.bcc.usdt_text import function_text
from tests.unit.symbols.programs import NOTE, build, nm

if TYPE_CHECKING:
    from pathlib import Path

X86_REGISTERS = [*[f"r{number}" for number in range(8, 16)], *["ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip"]]
ARM_REGISTERS = [*[f"x{number}" for number in range(31)], "sp", "pc"]
CONTEXTS = {
    "x86": (
        f"struct pt_regs {{ unsigned long {', '.join(X86_REGISTERS)}; }};\n#define PT_REGS_IP(x) ((x)->ip)\n",
        X86_REGISTERS,
    ),
    "arm": ("struct pt_regs { unsigned long regs[31], sp, pc; };\n#define PT_REGS_IP(x) ((x)->pc)\n", ARM_REGISTERS),
}
HEADER = """
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
static inline long bpf_probe_read_user(void *to, unsigned size, const void *from)
{
    if ((unsigned long)from < 4096) { memset(to, 0, size); return -14; }
    memcpy(to, from, size);
    return 0;
}
"""
# Machine 183 in the header's field for it makes the same file one for arm64.
MACHINE_AT, ARM64 = 18, b"\xb7\x00"

# What is in memory at `base`; that is in di or x1, 2 in cx or x2, a negative number in dx or x3.
MEMORY = bytes.fromhex("11223344556677889900aabbccddeeff f1f2f3f4f5f6f7f8 0102030405060708")
NEGATIVE = 0xFFFF_FFFF_FFFF_FFF8
WIDE = 0x8877_6655_F433_92F1


def little(start: int, size: int, *, signed: bool = False) -> int:
    return int.from_bytes(MEMORY[start : start + size], "little", signed=signed)


X86 = [
    ("-4@$-42", -42),
    ("8@$18446744073709551615", 2**64 - 1),
    ("1@$300", 44),
    ("8@%rax", WIDE),
    ("-8@%rax", WIDE - 2**64),
    ("4@%eax", 0xF43392F1),
    ("-4@%eax", 0xF43392F1 - 2**32),
    ("2@%ax", 0x92F1),
    ("-2@%ax", 0x92F1 - 2**16),
    ("1@%al", 0xF1),
    ("-1@%al", 0xF1 - 2**8),
    ("1@%ah", 0x92),
    ("-1@%ah", 0x92 - 2**8),
    ("-8@%eax", 0xF43392F1 - 2**32),
    ("8@%eax", 0xF43392F1),
    ("-4@%r15d", 0xF43392F1 - 2**32),
    ("8@(%rdi)", little(0, 8)),
    ("-8@8(%rdi)", little(8, 8, signed=True)),
    ("-2@14(%rdi)", little(14, 2, signed=True)),
    ("1@0x10(%rdi)", 0xF1),
    ("4@(%rdi,%rcx)", little(2, 4)),
    ("4@(%rdi,%rcx,4)", little(8, 4)),
    ("8@-8(%rdi,%rcx,8)", little(8, 8)),
    ("4@16(%rdi,%rdx,1)", little(8, 4)),
    ("8@place(%rip)", little(0, 8)),
    ("2@place+16(%rip)", little(16, 2)),
    ("4@place", little(0, 4)),
    ("4@-8+place(,%rcx,8)", little(8, 4)),
]
ARM = [
    ("-4@-42", -42),
    ("8@#7", 7),
    ("8@x0", WIDE),
    ("-4@w0", 0xF43392F1 - 2**32),
    ("2@w0", 0x92F1),
    ("8@xzr", 0),
    ("4@wzr", 0),
    ("8@[x1]", little(0, 8)),
    ("-2@[x1, 14]", little(14, 2, signed=True)),
    ("4@[x1, x2]", little(2, 4)),
    ("4@[x1, x2, lsl 2]", little(8, 4)),
    ("4@[sp, w3, sxtw]", little(8, 4)),
    ("4@[sp, w3, sxtw 1]", little(0, 4)),
]


def program(path: Path, notes: list[tuple[str, str, str]]) -> Path:
    """Build a program with probes: place, name, arguments."""
    lines = "".join(f'__asm__ volatile(NOTE("{at}", "0", "t", "{name}", "{words}"));\n' for at, name, words in notes)
    source = f"""{NOTE}
    char place[64] = {{1}};
    int main(void) {{
        __asm__ volatile("here: nop\\n.globl page\\n.balign 4096\\npage: nop\\n.balign 4096\\nnext: nop\\n");
        {lines} char end; return write(1, "ready\\n", 6) != 6 || read(0, &end, 1) != 1; }}
    """
    declarations = "long write(int, const void *, unsigned long);\nlong read(int, void *, unsigned long);\n"
    return build(path, declarations + source)


class Reader:
    """Generated functions, compiled for this machine."""

    def __init__(self, folder: Path, text: str, machine: str, calls: int) -> None:
        declaration, self.registers = CONTEXTS[machine]
        cases = "".join(f"case {n}: return _bpf_readarg_f_{n}(ctx, to, len);\n" for n in range(1, calls + 1))
        # A switch over `len` is what a constant becomes when the call is inlined.
        call = f"int call(int n, struct pt_regs *ctx, void *to, size_t len) {{ switch (n) {{\n{cases}}} return -1; }}"
        library = build(
            folder / "reader.so", HEADER + declaration + text + call, "-shared", "-fPIC", "-Wall", "-Werror"
        )
        self.library = ctypes.CDLL(str(library))

    def read(self, number: int, size: int, **registers: int) -> tuple[int, int]:
        """Return result and value of reading argument `number` into `size` bytes."""
        context = (ctypes.c_uint64 * len(self.registers))(*[registers.get(name, 0) for name in self.registers])
        to = ctypes.create_string_buffer(b"\xcc" * 16, 16)
        result = self.library.call(number, context, to, ctypes.c_size_t(size))
        assert to.raw[size:] == b"\xcc" * (16 - size)
        return result, int.from_bytes(to.raw[:size], "little")


@pytest.mark.parametrize(("machine", "table"), [("x86", X86), ("arm", ARM)])
def test_every_kind_of_argument(machine: str, table: list[tuple[str, int]], tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("here", "p", " ".join(words for words, _ in table))])
    if machine == "arm":
        data = bytearray(path.read_bytes())
        data[MACHINE_AT : MACHINE_AT + 2] = ARM64
        path.write_bytes(data)
    [probe] = _rtrace.usdt_probes(path)
    reader = Reader(tmp_path, function_text("f", "t:p", probe["locations"]), machine, len(table))
    memory = ctypes.create_string_buffer(MEMORY)
    base = ctypes.addressof(memory)
    known = nm(path)
    # Where the instruction would be if `place` were our memory.
    here = base + known["here"] - known["place"]
    if machine == "x86":
        registers = {"ax": WIDE, "r15": WIDE, "di": base, "cx": 2, "dx": NEGATIVE, "ip": here}
    else:
        registers = {"x0": WIDE, "x1": base, "x2": 2, "x3": NEGATIVE & 0xFFFF_FFFF, "sp": base + 16, "pc": here}
    for number, (words, value) in enumerate(table, 1):
        for size in (8, 4, 2, 1):
            assert reader.read(number, size, **registers) == (0, value % (1 << size * 8)), f"{words} into {size} bytes"
        assert reader.read(number, 3, **registers)[0] == -22


def test_memory_that_is_not_there_reads_as_zero(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("here", "p", "8@(%rdi)")])
    [probe] = _rtrace.usdt_probes(path)
    reader = Reader(tmp_path, function_text("f", "t:p", probe["locations"]), "x86", 1)
    assert reader.read(1, 8, di=0) == (-14, 0)


def test_one_program_at_several_places(tmp_path: Path) -> None:
    notes = [
        ("here", "p", "8@%rdi -4@$1 8@%rax"),
        ("page", "p", "8@%rsi -4@$1"),
        ("next+1", "p", "8@%rdi -4@$1 8@%xmm0"),
    ]
    path = program(tmp_path / "program", notes)
    known = nm(path)
    context = USDT(path=str(path))
    context.enable_probe("p", "f")
    text = context.get_text()
    reader = Reader(tmp_path, text, "x86", 3)
    bias = 0x5555_5555_4000
    for place, value in ((known["here"], 1), (known["page"], 2), (known["page"] + 4097, 1)):
        assert reader.read(1, 8, ip=bias + place, di=1, si=2) == (0, value)
        assert reader.read(2, 4, ip=bias + place) == (0, 1)
    assert reader.read(1, 8, ip=bias + known["page"] + 100, di=1) == (-2, 0)
    assert reader.read(3, 8, ip=bias + known["here"], ax=7) == (0, 7)
    for place in (known["page"], known["page"] + 4097):
        assert reader.read(3, 8, ip=bias + place, ax=7) == (-2, 0)
    # Nothing to choose from: no look at where it is.
    assert text.count("switch (PT_REGS_IP") == 2


def test_places_that_end_alike_need_the_process(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("page", "p", "8@%rdi"), ("next", "p", "8@%rsi")])
    context = USDT(path=str(path))
    context.enable_probe("p", "f")
    with pytest.raises(USDTException, match="probe `t:p`: it is at two places whose addresses end alike") as raised:
        context.get_text()
    assert raised.value.hint == "give the process (pid=), whose addresses tell its places apart"
    with subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        page = _rtrace.ProcessSymbols(process.pid).address(None, "page")
        assert page is not None
        for own in (None, str(path)):
            context = USDT(pid=process.pid, path=own)
            context.enable_probe("t:p", "f")
            reader = Reader(tmp_path, context.get_text(), "x86", 1)
            assert reader.read(1, 8, ip=page, di=1, si=2) == (0, 1)
            assert reader.read(1, 8, ip=page + 4096, di=1, si=2) == (0, 2)
            os.unlink(tmp_path / "reader.so")
        process.communicate(b"y")


def test_two_probes_of_one_program(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("here", "p", "8@%rdi"), ("here+1", "q", "8@%rsi 8@%rax")])
    context = USDT(path=str(path))
    context.enable_probe("p", "f")
    context.enable_probe("q", "f")
    reader = Reader(tmp_path, context.get_text(), "x86", 2)
    here = nm(path)["here"]
    assert reader.read(1, 8, ip=here, di=1, si=2) == (0, 1)
    assert reader.read(1, 8, ip=here + 1, di=1, si=2) == (0, 2)
    assert reader.read(2, 8, ip=here + 1, ax=3) == (0, 3)
    assert reader.read(2, 8, ip=here, ax=3) == (-2, 0)


def test_arguments_out_of_reach_matter_to_those_who_ask(tmp_path: Path) -> None:
    path = program(tmp_path / "program", [("here", "p", "8@%rdi 8f@%xmm0")])
    context = USDT(path=str(path))
    context.enable_probe("p", "f")
    text = context.get_text()
    assert Reader(tmp_path, text, "x86", 1).read(1, 8, di=5) == (0, 5)
    command = ["gcc", "-O1", "-x", "c", "-", "-shared", "-fPIC", "-o", str(tmp_path / "none.so")]
    asking = (
        HEADER + CONTEXTS["x86"][0] + text + "int g(struct pt_regs *c) { long x; return _bpf_readarg_f_2(c, &x, 8); }"
    )
    done = subprocess.run(command, input=asking, text=True, capture_output=True, check=False)
    assert done.returncode
    assert "argument 2 of t:p is where no program can read it: 8f@%xmm0" in done.stderr
