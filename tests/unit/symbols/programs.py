"""Small programs and libraries, compiled for a test."""

from __future__ import annotations

import re
import struct
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COMPILER = "gcc"
# Functions that the world sees, does not see, and knows by a name of C++; and a variable of each kind.
FUNCTIONS = """
int variable = 7;
int zero;
static int hidden(int x) { return x * 3 + variable; }
int visible(int x) { return hidden(x) + zero; }
int area(double x) __asm__("_ZN5shape6circle4areaEd");
int area(double x) { return (int)x * visible(2); }
"""


def build(path: Path, source: str, *flags: str, compiler: str = COMPILER) -> Path:
    """Compile C."""
    command = [compiler, "-x", "c", "-O1", "-fno-inline", "-", "-o", str(path), *flags]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def nm(path: Path, *flags: str) -> dict[str, int]:
    """Return what binutils say of a file's functions and variables; versions are cut off."""
    lines = subprocess.run(["nm", *flags, path], capture_output=True, text=True, check=True).stdout.splitlines()
    words = [line.split() for line in lines]
    return {re.sub("@.*", "", word[2]): int(word[0], 16) for word in words if len(word) == 3 and word[1] in "tTwWiDdBb"}


def file_offset(path: Path, address: int) -> int:
    """Return where in a file an address is, by its program headers."""
    data = path.read_bytes()
    start, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    for at in range(start, start + size * count, size):
        kind, _flags, offset, first, _, length = struct.unpack_from("<IIQQQQ", data, at)
        if kind == 1 and first <= address < first + length:
            return int(address - first + offset)
    message = f"{address:#x} is not in {path}"
    raise LookupError(message)


# A probe's note, as sys/sdt.h has the assembler write it; `place` is what the assembler knows as the instruction.
NOTE = """
#define NOTE(place, semaphore, provider, name, arguments) \\
  ".pushsection .note.stapsdt,\\"\\",@note\\n.balign 4\\n.4byte 92f-91f, 94f-93f, 3\\n91: .asciz \\"stapsdt\\"\\n" \\
  "92: .balign 4\\n93: .8byte " place ", .stapsdt_base, " semaphore "\\n" \\
  ".asciz \\"" provider "\\"\\n.asciz \\"" name "\\"\\n.asciz \\"" arguments "\\"\\n94: .balign 4\\n.popsection\\n"
asm(".pushsection .stapsdt.base,\\"a\\",@progbits\\n.stapsdt_base: .space 1\\n.popsection");
"""
