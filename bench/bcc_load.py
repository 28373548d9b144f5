"""``python -m bench.bcc_load SCRIPT [ARGUMENT ...]``: runs one of bcc's tools up to where it would trace.

Its C is compiled and its programs are given to the verifier, but nothing is attached: that goes on any machine, also
where there are no kprobes. Ends where the tool would wait, and writes how many programs were loaded to stderr.
"""

from __future__ import annotations

import runpy
import sys
import threading
import time
from typing import Any, Never

from rtrace.bcc.__main__ import stand_in
from rtrace.bcc.bpf import BPF

LOADED = "programs loaded:"
# What a tool waits in once it has attached.
WAITS = (
    "kprobe_poll", "perf_buffer_consume", "perf_buffer_poll", "ring_buffer_consume", "ring_buffer_poll",
    "trace_fields", "trace_print", "trace_readline",
)  # fmt: skip
# Ways of attaching, the type of their programs, and the place of the program's name among the arguments.
WAYS = {
    "attach_kprobe": (BPF.KPROBE, 2),
    "attach_kretprobe": (BPF.KPROBE, 1),
    "attach_perf_event": (BPF.PERF_EVENT, 2),
    "attach_perf_event_raw": (BPF.PERF_EVENT, 1),
    "attach_raw_tracepoint": (BPF.RAW_TRACEPOINT, 1),
    "attach_tracepoint": (BPF.TRACEPOINT, 2),
    "attach_uprobe": (BPF.KPROBE, 4),
    "attach_uretprobe": (BPF.KPROBE, 4),
    "attach_uprobe_at": (BPF.KPROBE, 3),
}


def main(arguments: list[str]) -> None:
    """Run the script with an object that attaches nothing."""
    loaded: set[Any] = set()

    def end(*_: Any, **__: Any) -> Never:
        raise SystemExit(0)

    def load_only(kind: int, place: int) -> Any:
        def attach(self: BPF, *positional: Any, **named: Any) -> BPF:
            name = named["fn_name"] if "fn_name" in named else positional[place]
            loaded.add(self.load_func(name, kind).name)
            return self

        return attach

    for way, (kind, place) in WAYS.items():
        setattr(BPF, way, load_only(kind, place))
    for wait in WAITS:
        setattr(BPF, wait, end)
    for count in ("num_open_kprobes", "num_open_tracepoints", "num_open_uprobes"):
        setattr(BPF, count, lambda _: len(loaded))
    time.sleep = end
    wait_for_event = threading.Event.wait

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        # Without a timeout it is a thread that starts.
        return wait_for_event(event) if timeout is None else end()

    threading.Event.wait = wait  # type: ignore[method-assign]
    stand_in()
    sys.argv = arguments
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        sys.stderr.write(f"\n{LOADED} {len(loaded)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
