"""Compile a C program written for bcc to an object file.

The object loads without a compiler, here and on machines with another kernel
that has BTF: with rtrace.bcc.BPF(obj_file="prog.o"), or as any object. Errors
show the line and the column of the program's own text.

Needs clang 14 or newer, or `pip install rtrace[clang]`; the variable
RTRACE_CLANG names another compiler, `zig` the one of that wheel. No
privilege, except that the formats of tracepoints are root's to read.

Examples
--------
rtrace compile prog.c -o prog.o
rtrace compile prog.c -I include -- -DFILTER_PID=1234
"""

from __future__ import annotations

import os

from rtrace import _rtrace
from rtrace.cli.arguments import Parser
from rtrace.errors import CommandError
from rtrace.whole_file import write_whole


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("compile", "[-o OBJECT] [-I FOLDER] PROGRAM [-- FLAG ...]", __doc__)
    parser.add_argument("program", metavar="PROGRAM", help="the file of the source")
    parser.add_argument("-o", "--output", metavar="OBJECT", help="the file to write (default: PROGRAM with .o)")
    parser.add_argument(
        "-I", "--include", action="append", default=[], metavar="FOLDER", help="where else the program's headers are"
    )
    # Flags begin with a dash as options do: what is behind `--` is for the compiler alone.
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])

    output = arguments.output or f"{os.path.splitext(arguments.program)[0]}.o"
    if os.path.abspath(output) == os.path.abspath(arguments.program):
        message = f"compile `{arguments.program}`: the object would replace the program"
        raise CommandError(message, hint="name it with -o", exit_code=2)
    with open(arguments.program, "rb") as file:
        source = file.read()
    data = _rtrace.compile_c(source, name=arguments.program, include_dirs=arguments.include, cflags=words[end + 1 :])
    write_whole(output, lambda file: file.write(data))
    return 0
