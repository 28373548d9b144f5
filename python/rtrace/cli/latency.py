r"""Show the time between two tracepoints that a key joins.

One line for each pair with the same key, as `rtrace trace` shows events: when
it ended, the thread that was running at its start and that one's process, the
CPU of its end, the time between the two, then the fields. --histogram instead
counts the times and prints at the end how they are distributed.

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
rtrace latency irq:softirq_entry irq:softirq_exit --key cpu,vec --histogram
rtrace latency syscalls:sys_enter_fsync syscalls:sys_exit_fsync \
  --key tid --min-latency 1ms
rtrace latency raw_syscalls:sys_enter raw_syscalls:sys_exit \
  --key tid,id -p 181 -d 10 --histogram --by id
"""

# ruff: noqa: T201  # printing is what a command does

from __future__ import annotations

from rtrace.cli.arguments import Parser, check_name, seconds
from rtrace.cli.event_run import add_options, check_file, names, running
from rtrace.errors import CommandError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    import argparse

    from rtrace.cli.event_run import Batch, Run
    from rtrace.histogram import Histogram
    from rtrace.shapes.recording import Recording
    from rtrace.trace import Trace

# Events that are counted at once; until then they are kept.
ENOUGH = 1 << 16


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("latency", "[options] --key A,B START END", __doc__)
    add = parser.add_argument
    add("start", metavar="START", help="the tracepoint where time begins, as CATEGORY:NAME")
    add("end", metavar="END", help="the one where it ends; `rtrace list` lists them")
    add("--key", required=True, metavar="A,B", help="the fields that a start and its end have in common")
    ways = add_options(parser)
    ways.add_argument("--wall", action="store_true", help="show the time of day")
    add("--min-latency", type=seconds, metavar="TIME", help="only pairs at least so far apart: 0.001, 1ms")
    add("--fields", metavar="A,B", help="only these of the start's fields")
    add("--histogram", action="store_true", help="print no events, but at the end their histogram")
    add("--by", metavar="COLUMN", help="one such histogram for each value of this column")
    arguments = parser.parse_args(words)
    check(parser, arguments)
    key = names(parser, "--key", arguments.key)
    fields = None if arguments.fields is None else names(parser, "--fields", arguments.fields)
    from rtrace.shapes.tracepoint_latency import tracepoint_latency  # noqa: PLC0415  # not for a wrong command line

    options = {name: getattr(arguments, name) for name in ("filter", "min_latency", "pid", "tid", "cgroup")}

    def attach() -> Recording:
        recording: Recording = tracepoint_latency(
            arguments.start,
            arguments.end,
            key=key if len(key) > 1 else key[0],
            fields=fields,
            tool="latency",
            **options,
        )
        return recording

    with running(attach, arguments, f"{arguments.start} -> {arguments.end}") as run:
        if arguments.histogram:
            print_histogram(run, arguments)
        else:
            run.go()
    return 0


def check(parser: Parser, arguments: argparse.Namespace) -> None:
    """Refuse what makes no sense before anything is attached."""
    if arguments.by is not None and not arguments.histogram:
        parser.error("argument --by: only with --histogram")
    if arguments.histogram:
        ways = {"--csv": arguments.csv, "--wall": arguments.wall, "-o/--output": arguments.output is not None}
        for way in filter(ways.get, ways):
            parser.error(f"argument {way}: not allowed with argument --histogram")
    check_file(parser, arguments.output)
    check_name(arguments.start)
    check_name(arguments.end)


def print_histogram(run: Run, arguments: argparse.Namespace) -> None:
    """Count until the end, then print the histogram."""
    import dataclasses  # noqa: PLC0415  # takes long: now events are kept in the meantime

    now = run.trace([])
    # Of no time and without losses, so that parts can be added up.
    empty = dataclasses.replace(now, duration=0.0, losses={}, lost_per_cpu=())
    try:
        whole = empty.histogram(by=arguments.by)
    except (KeyError, ValueError) as error:
        # A KeyError's text is its argument in quotes.
        raise CommandError(str(error.args[0]), exit_code=2) from error
    kept: list[Batch] = []
    room = ENOUGH
    for batch in run.batches_with_progress():
        if len(batch):
            kept.append(batch)
            room -= len(batch)
        if room <= 0:
            whole += count(empty, kept, arguments.by)
            kept, room = [], ENOUGH
    whole += count(empty, kept, arguments.by)
    run.check_read()
    whole = dataclasses.replace(whole, duration=run.lasted, losses=run.losses())
    if arguments.json:
        print(whole.to_json(), flush=True)
    else:
        # What was lost is told at the end in any case.
        whole.print(footer=False)
    run.summarize()


def count(empty: Trace, batches: list[Batch], by: str | None) -> Histogram:
    """Return the histogram of some events."""
    import dataclasses  # noqa: PLC0415  # as above

    import numpy as np  # noqa: PLC0415  # not needed to attach

    return dataclasses.replace(empty, records=np.concatenate([empty.records, *batches])).histogram(by=by)
