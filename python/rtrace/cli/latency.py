r"""Show the time between two tracepoints that a key joins.

One line for each pair with the same key, as `rtrace trace` shows events: when
it ended, the thread that was running at its start and that one's process, the
CPU of its end, the time between the two, then the fields.

--histogram counts the times in the kernel instead and prints a histogram for
each interval: every 5 seconds unless told otherwise, until Ctrl-C. --by splits
it by a field of the start or the end, a number or a text of up to 16 bytes, or
by pid, tid or comm of the start, or the cpu of the end. -o saves all of it as
well, as .npz; --json prints one object for each histogram.

The key is up to 4 fields that both tracepoints have and that tell apart what
is under way; tid is the running thread, which is right for system calls, and
cpu the CPU. For block:block_rq_issue and _complete, `request` is the kernel's
own pointer. A start whose key another start takes over before its end came is
lost, and counted.

Filters are decided in the kernel and are about the start; `rtrace trace
--help` tells how to write them.

Examples
--------
rtrace latency block:block_rq_issue block:block_rq_complete --key dev,sector
rtrace latency irq:softirq_entry irq:softirq_exit --key cpu,vec --histogram 1
rtrace latency syscalls:sys_enter_fsync syscalls:sys_exit_fsync \
  --key tid --min-latency 1ms
rtrace latency raw_syscalls:sys_enter raw_syscalls:sys_exit \
  --key tid,id -p 181 -d 10 --histogram --by id
"""

from __future__ import annotations

from rtrace.cli import pair_histogram
from rtrace.cli.arguments import Parser, check_name, seconds
from rtrace.cli.event_run import add_options, check_file, format_hint, names, running

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("latency", "[options] --key A,B START END [interval [count]]", __doc__)
    add = parser.add_argument
    add("start", metavar="START", help="the tracepoint where time begins, as CATEGORY:NAME")
    add("end", metavar="END", help="the one where it ends; `rtrace list` lists them")
    pair_histogram.add_intervals(parser)
    add("--key", required=True, metavar="A,B", help="the fields that a start and its end have in common")
    ways = add_options(parser)
    ways.add_argument("--wall", action="store_true", help="show the time of day")
    add("--min-latency", type=seconds, metavar="TIME", help="only pairs at least so far apart: 0.001, 1ms")
    add("--fields", metavar="A,B", help="only these of the start's fields")
    pair_histogram.add_options(parser)
    arguments = parser.parse_args(words)
    pair_histogram.check(parser, arguments)
    check_name(arguments.start)
    check_name(arguments.end)
    key = names(parser, "--key", arguments.key)
    fields = None if arguments.fields is None else names(parser, "--fields", arguments.fields)
    from rtrace.shapes.tracepoint_latency import tracepoint_latency  # noqa: PLC0415  # not for a wrong command line

    options = {name: getattr(arguments, name) for name in ("filter", "min_latency", "pid", "tid", "cgroup")}

    def attach(**more: Any) -> Any:
        return tracepoint_latency(
            arguments.start,
            arguments.end,
            key=key if len(key) > 1 else key[0],
            tool="latency",
            **options,
            **more,
        )

    if arguments.histogram:
        return pair_histogram.measure(attach, arguments, format_hint(arguments.start))
    check_file(parser, arguments)

    with running(lambda: attach(fields=fields), arguments, f"{arguments.start} -> {arguments.end}") as run:
        run.go()
    return 0
