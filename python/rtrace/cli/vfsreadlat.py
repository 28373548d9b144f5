"""Show how long reads take, as a histogram (bcc's vfsreadlat).

Times vfs_read, the kernel function that every read of a file, pipe or socket
goes through, and prints a histogram of the latencies for each interval: every
5 seconds unless told otherwise, until Ctrl-C. Of a measurement that is ended
early, what has been counted so far is printed.

The function itself is timed where the kernel lets it (fentry, kprobe). Where
not, the system calls read and pread64 are; a line on the terminal says so, and
-v says why.

Examples
--------
rtrace vfsreadlat                  a histogram every 5 seconds
rtrace vfsreadlat 1 10             10 histograms, 1 second each
rtrace vfsreadlat -p 181 -d 30     one process for 30 seconds
rtrace vfsreadlat --by comm -d 5   one histogram per command name
rtrace vfsreadlat 1 --json | jq .total
rtrace vfsreadlat --min-latency 1ms -o slow.npz
"""

from __future__ import annotations

from rtrace.cli.arguments import Parser
from rtrace.cli.measure import add_options, measure_function


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("vfsreadlat", "[options] [interval [count]]", __doc__)
    add_options(parser)
    arguments = parser.parse_args(words)
    from rtrace.tools.vfsreadlat import vfsreadlat  # noqa: PLC0415  # not for a command line that is wrong

    return measure_function(vfsreadlat, arguments)
