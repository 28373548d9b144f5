"""Show who reads how many bits from the kernel's random device.

One line for each read of /dev/urandom, as the tutorial's urandomread prints
it: when (seconds of CLOCK_MONOTONIC), the command, its process, and the bits.

The tracepoint random:urandom_read is gone since Linux 5.18 and 5.10.119. Where
it is, the function that serves the reads is probed; where that is not allowed,
the read system calls on descriptors of the device are recorded.

--json and --csv print all that is known, numbers as they are; -o keeps it for
`rtrace report` and for rtrace.Trace.load, in memory until the end.

Examples
--------
rtrace urandomread
rtrace urandomread -p 181 -d 10
rtrace urandomread -d 60 --csv > reads.csv
"""

from __future__ import annotations

from rtrace.cli.arguments import Parser
from rtrace.cli.event_run import add_options, check_file, running

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from rtrace.cli.event_lines import Lines
    from rtrace.tools.urandomread import UrandomReads
    from rtrace.trace import Trace

HEADING = "%-18s %-16s %-6s %s" % ("TIME(s)", "COMM", "PID", "GOTBITS")  # noqa: UP031  # bcc's own format


def main(words: list[str]) -> int:
    """Run the command."""
    parser = Parser("urandomread", "[options]", __doc__)
    add_options(parser, filters=False)
    arguments = parser.parse_args(words)
    check_file(parser, arguments)
    from rtrace.tools import urandomread  # noqa: PLC0415  # not for a wrong command line

    def attach() -> UrandomReads:
        reads: UrandomReads = urandomread.urandomread(pid=arguments.pid, tid=arguments.tid, cgroup=arguments.cgroup)
        return reads

    def make_table(_: Trace) -> Lines:
        return RandomTable()

    with running(attach, arguments, "reads of /dev/urandom") as run:
        run.go(make_table)
    return 0


class RandomTable:
    """A line for each read."""

    def heading(self) -> str:
        """Return the names of the columns."""
        return f"{HEADING}\n"

    def lines(self, trace: Trace) -> str:
        """Return one line per read."""
        from rtrace.cli.event_lines import boot_time  # noqa: PLC0415  # imports numpy, which is not needed to attach
        from rtrace.display.wording import printable  # noqa: PLC0415

        rows = zip(
            map(boot_time, trace["ts_ns"].tolist()),
            map(printable, trace.names("comm").tolist()),
            trace["pid"].tolist(),
            trace["got_bits"].tolist(),
            strict=True,
        )
        return "".join([f"{when:<18} {comm:<16} {pid:<6} {bits}\n" for when, comm, pid, bits in rows])
