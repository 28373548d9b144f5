"""Show how long a kernel function takes, as a histogram.

Times any kernel function and prints a histogram of the latencies for each
interval: every 5 seconds unless told otherwise, until Ctrl-C. Of a measurement
that is ended early, what has been counted so far is printed.

`rtrace functions` lists the functions. Where the kernel allows neither fentry
nor kprobes, those that stand behind a system call can still be timed.

Examples
--------
rtrace funclatency vfs_write              a histogram every 5 seconds
rtrace funclatency vfs_fsync_range 1 10   10 histograms, 1 second each
rtrace funclatency do_nanosleep --unit ms -d 10
rtrace funclatency tcp_sendmsg --by pid -d 5
"""

from __future__ import annotations

from rtrace.cli.arguments import Parser
from rtrace.cli.measure import add_options, measure_function


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("funclatency", "[options] FUNCTION [interval [count]]", __doc__)
    parser.add_argument("function", metavar="FUNCTION", help="name of the kernel function")
    add_options(parser)
    arguments = parser.parse_args(words)
    from rtrace.shapes.function_latency import function_latency  # noqa: PLC0415  # not for a wrong command line

    return measure_function(
        lambda **options: function_latency(arguments.function, tool="funclatency", **options), arguments
    )
