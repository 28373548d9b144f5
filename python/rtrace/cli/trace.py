"""Show the events of a tracepoint as they come, with their fields.

One line for each event, until Ctrl-C, after a time (-d) or a number of events
(-n): when (seconds since the first one, or --wall), the thread that was
running and its process, the CPU, then the fields. Values are shown by name
where the kernel has names for them. A line on standard error at the end tells
how many there were, and how many were lost. What rtrace itself does while it
starts is left out.

--json and --csv print the numbers as they are, with text decoded; -o keeps all
of it for `rtrace report` and for rtrace.Trace.load, in memory until the end,
and prints events only where --json, --csv or --live asks for that.

Filters are decided in the kernel. They compare fields, or pid, tid, cpu and
comm, by == != < <= > >= & (has one of these bits) !& and, for text, ~, where a
* at the end stands for any characters; `and`, `or`, `not` and brackets combine
them.

Examples
--------
rtrace trace sched:sched_process_exec
rtrace trace block:block_rq_issue --filter 'bytes >= 65536' -d 10
rtrace trace sched:sched_switch --fields next_comm,next_pid -n 20
rtrace trace syscalls:sys_enter_openat -p 181 --json | jq .flags
rtrace trace block:block_rq_issue -d 60 -o disk.npz
"""

from __future__ import annotations

from rtrace.cli.arguments import Parser, check_name
from rtrace.cli.event_run import GREETING, add_options, check_file, names, running

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.shapes.recording import Recording

__all__ = ["GREETING", "main"]


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("trace", "[options] CATEGORY:NAME", __doc__)
    parser.add_argument("target", metavar="CATEGORY:NAME", help="the tracepoint; `rtrace list` lists them")
    ways = add_options(parser)
    ways.add_argument("--wall", action="store_true", help="show the time of day")
    parser.add_argument("--fields", metavar="A,B", help="only these, of those that `rtrace format` lists")
    arguments = parser.parse_args(words)
    check_file(parser, arguments)
    fields = None if arguments.fields is None else names(parser, "--fields", arguments.fields)
    check_name(arguments.target)
    from rtrace.shapes.tracepoint_events import tracepoint_events  # noqa: PLC0415  # not for a wrong command line

    options = {name: getattr(arguments, name) for name in ("filter", "pid", "tid", "cgroup")}

    def attach() -> Recording:
        recording: Recording = tracepoint_events(arguments.target, fields=fields, tool="trace", **options)
        return recording

    with running(attach, arguments, arguments.target) as run:
        run.go()
    return 0
