"""Requests to disks, seen through the kernel's own ``struct request``.

``block:block_rq_issue`` and ``block:block_rq_complete`` as raw tracepoints: exact, also where interrupts end requests
in the middle of a program. The programs put together what the tracepoints' entries would show
(``ebpf/programs/src/request.rs``); the formats here describe that to the code that reads every other entry.
"""

from __future__ import annotations

import struct

from rtrace import _rtrace, tracefs
from rtrace.errors import BtfError, NotSupportedError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    Format = dict[str, Any]

# The key that is exact: the kernel's own struct request, unique while it is under way.
KEY = "request"
TARGETS = ("block:block_rq_issue", "block:block_rq_complete")

# As struct RequestEntry of ebpf/common/src/tracepoint_latency.rs, in the words of tracefs.
FORMAT = """\
name: {name}
ID: 0
format:
\tfield:unsigned long long common_entry;\toffset:0;\tsize:8;\tsigned:0;

\tfield:struct request * request;\toffset:8;\tsize:8;\tsigned:0;
\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;
\tfield:dev_t dev;\toffset:24;\tsize:4;\tsigned:0;
\tfield:unsigned int nr_sector;\toffset:28;\tsize:4;\tsigned:0;
\tfield:unsigned int bytes;\toffset:32;\tsize:4;\tsigned:0;
{error}\tfield:char rwbs[16];\toffset:40;\tsize:16;\tsigned:0;

print fmt: "%d,%d %s", ((unsigned int) ((REC->dev) >> 20)), ((unsigned int) ((REC->dev) & ((1U << 20) - 1))), REC->rwbs
"""
ERROR = "\tfield:int error;\toffset:36;\tsize:4;\tsigned:1;\n"

# Where struct RequestLayout gets its offsets from: the members of structs, in its order.
MEMBERS = (("request", "__sector"), ("request", "__data_len"), ("request", "cmd_flags"))
DISK = ("request_queue", "disk")
NUMBERS = (("gendisk", "major"), ("gendisk", "first_minor"))
# What has no letter on a kernel that lacks it.
FLAGS = ("__REQ_PREFLUSH", "__REQ_FUA", "__REQ_RAHEAD", "__REQ_SYNC", "__REQ_META", "__REQ_ATOMIC")
NOWHERE = 0xFFFF_FFFF


def format_texts() -> tuple[str, str]:
    """Return the formats of a request's start and end."""
    start, end = (tracefs.split(target)[1] for target in TARGETS)
    return FORMAT.format(name=start, error=""), FORMAT.format(name=end, error=ERROR)


def described() -> bool:
    """Whether this kernel's BTF says what a request is."""
    try:
        return KEY in (_rtrace.tracepoint_arguments("block_rq_issue") or ())
    except BtfError:
        return False


def apply(spec: _rtrace.ObjectSpec) -> None:
    """Tell the programs where this kernel keeps what they show.

    Raises
    ------
    NotSupportedError
        If the kernel's BTF does not say.
    """
    arguments = _rtrace.tracepoint_arguments("block_rq_issue")
    if arguments is None or KEY not in arguments[:2]:
        cause = "its raw tracepoint does not pass a struct request"
        raise missing(cause)
    spec.set_global("START_ARGUMENT", arguments.index(KEY))
    # Linux 5.17 took the disk out of the request; its queue leads to it since 5.15.
    queue_to_disk, to_disk = _rtrace.struct_member(*DISK), _rtrace.struct_member("request", "q")
    if queue_to_disk is None:
        to_disk = _rtrace.struct_member("request", "rq_disk")
    members = [_rtrace.struct_member(*member) for member in (*MEMBERS, *NUMBERS)]
    found = [place[0] for place in members if place is not None]
    if to_disk is None or len(found) < len(members):
        cause = "the kernel's BTF does not say where a request has its disk, place and size"
        raise missing(cause)
    follow = NOWHERE if queue_to_disk is None else queue_to_disk[0]
    offsets = [*found[: len(MEMBERS)], to_disk[0], follow, *found[len(MEMBERS) :]]
    known = _rtrace.enumerators(set(FLAGS))
    bits = bytes(known.get(flag, 0) for flag in FLAGS)
    spec.set_global("REQUEST_LAYOUT", struct.pack("=7I", *offsets) + bits.ljust(8, b"\0"))


def missing(cause: str) -> NotSupportedError:
    """Make the error for a kernel that does not tell enough."""
    hint = "use a key of fields, like key=('dev', 'sector')"
    return NotSupportedError(f"`{TARGETS[0]}` by {KEY!r}: {cause}", feature="BTF of struct request", hint=hint)
