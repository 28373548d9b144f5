"""Show every request to a disk, its size and how long it took.

One line for each, as bcc's disksnoop prints it: when it was done (seconds of
CLOCK_MONOTONIC), its type, its bytes, and the milliseconds since the driver
got it. The type is the first letter that the kernel has for it: R read, W
write, D discard, F flush (also a write that flushes the disk's cache before).

--histogram counts the latencies in the kernel instead and prints a histogram
for each interval: every 5 seconds unless told otherwise, until Ctrl-C. --by
splits it: by rwbs (what a request is), dev (the disk), comm, ...

-v adds the disk and the thread that issued the request; of writes this is
often a thread of the kernel that writes pages back, which -p, -t and --cgroup
then leave out.

What tells requests under way apart (--key):
  request     the kernel's own pointer: exact; the default where the kernel
              describes its structs (BTF)
  dev,sector  disk and place; flushes all have sector 0 and may be confused
  dev         the disk alone: of requests under way together, the last one

--json and --csv print all that is known, numbers as they are; -o keeps it for
`rtrace report` and for rtrace.Trace.load, in memory until the end.

Examples
--------
rtrace disksnoop
rtrace disksnoop -v -d 10 --min-latency 5ms
rtrace disksnoop --filter 'rwbs ~ "W*" and bytes >= 65536'
rtrace disksnoop --histogram --by rwbs 1
rtrace disksnoop -d 60 -o disk.npz
rtrace report disk.npz --histogram latency_ns --by rwbs
"""

from __future__ import annotations

from rtrace.cli import pair_histogram
from rtrace.cli.arguments import Parser, seconds
from rtrace.cli.event_run import add_options, check_file, format_hint, running

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.cli.event_lines import Lines
    from rtrace.trace import Trace

KEYS = ("request", "dev,sector", "dev")


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("disksnoop", "[options] [interval [count]]", __doc__)
    add = parser.add_argument
    pair_histogram.add_intervals(parser)
    add_options(parser)
    add("--min-latency", type=seconds, metavar="TIME", help="only requests at least so long: 0.001, 1ms")
    add("--key", choices=KEYS, metavar="KEY", help=f"what tells requests apart: {' or '.join(KEYS)}")
    add("-v", "--verbose", action="store_true", help="show the disk and the thread as well")
    pair_histogram.add_options(parser)
    arguments = parser.parse_args(words)
    pair_histogram.check(parser, arguments)
    from rtrace.tools import disksnoop  # noqa: PLC0415  # not for a wrong command line

    options = {name: getattr(arguments, name) for name in ("filter", "min_latency", "pid", "tid", "cgroup")}
    parts = arguments.key and arguments.key.split(",")
    key = tuple(parts) if parts and len(parts) > 1 else arguments.key

    def attach(**more: Any) -> Any:
        return disksnoop.disksnoop(key=key, **options, **more)

    if arguments.histogram:
        return pair_histogram.measure(attach, arguments, format_hint(disksnoop.START))
    check_file(parser, arguments)

    def make_table(_: Trace) -> Lines:
        from rtrace.cli.disk_lines import DiskTable  # noqa: PLC0415  # imports numpy, which is not needed to attach

        return DiskTable(verbose=arguments.verbose)

    with running(attach, arguments, f"{disksnoop.START} -> {disksnoop.END}") as run:
        run.go(make_table)
    return 0
