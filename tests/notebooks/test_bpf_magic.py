"""``%%bpf`` in a Jupyter kernel: run, run again, refused, interrupted, restarted; nothing is left attached."""

from __future__ import annotations

import re

import pytest

from tests.kernel import kernel_objects
from tests.notebooks.kernel import Kernel

Survey = dict[str, frozenset[object]]

COUNTS = """%%bpf reads
BPF_HISTOGRAM(sizes);
TRACEPOINT_PROBE(syscalls, sys_exit_read)
{
    if ((u32)bpf_get_current_pid_tgid() == TID)
        sizes.increment(bpf_log2l(args->ret));
    return 0;
}
"""
# Each read of the cell's own thread, known by its number and its size.
READS = (
    "zero = os.open('/dev/zero', os.O_RDONLY); [os.read(zero, 1000) for _ in range(101)]; os.close(zero); "
    "reads['sizes'][10].value"
)
# Modules that are read from their source, where Python keeps no bytecode, would be reads of the thread's as well.
MINE = "import os, threading, rtrace.bcc.tables.make; tid = threading.get_native_id(); pid = os.getpid()"
FLAGS = "--cflags -DTID={tid}"
EVENTS = """%%bpf --cflags -DPID={pid}
struct event { u32 tid; };
BPF_PERF_OUTPUT(events);
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    if (bpf_get_current_pid_tgid() >> 32 != PID)
        return 0;
    struct event event = { .tid = bpf_get_current_pid_tgid() };
    events.perf_submit(args, &event, sizeof(event));
    return 0;
}
"""
PRINTS = """%%bpf --cflags -DPID={pid}
TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    if (bpf_get_current_pid_tgid() >> 32 == PID)
        bpf_trace_printk("read %d\\n", args->fd);
    return 0;
}
"""
BUSY = (
    "def read():\n"
    "    while not done.is_set():\n"
    "        with open('/proc/self/stat', 'rb', buffering=0) as file: file.read(1)\n"
    "done = threading.Event(); thread = threading.Thread(target=read); thread.start()"
)
PERF = (
    "got = []\n"
    "def take(cpu, data, size):\n"
    "    got or display('has an event')\n"
    "    got.append(b['events'].event(data).tid)\n"
    "b['events'].open_perf_buffer(take, page_cnt=64)\n"
    "while True: b.perf_buffer_poll()"
)
POLLS = {
    "perf buffer": (EVENTS, PERF),
    "trace fields": (PRINTS, "while True:\n    b.trace_fields()\n    display('has a line')"),
    "trace print": (PRINTS, "display('prints'); b.trace_print()"),
    "print": (PRINTS, "display('prints'); b.trace_print(fmt='{0} {5}')"),
}


@pytest.fixture
def magic(kernel: Kernel) -> Kernel:
    """Return a kernel that knows the magic and its own thread."""
    assert kernel.run(f"%load_ext rtrace\n{MINE}").status == "ok"
    return kernel


def test_a_cell_becomes_a_program_and_running_it_again_replaces_it(magic: Kernel, before: Survey) -> None:
    cell = COUNTS.replace("%%bpf reads", f"%%bpf reads {FLAGS}")
    replaced: set[int] = set()
    for _ in range(3):
        done = magic.run(cell)
        assert (done.status, done.error, done.text) == ("ok", "", "")
        # What was loaded is shown, and nothing of it is kept in `Out`.
        assert done.displays[0]["data"]["text/plain"] == "<BPF <text> maps=['sizes']>"
        assert "tracepoint syscalls:sys_exit_read" in done.displays[0]["data"]["text/html"]
        assert kernel_objects.are_gone(replaced)
        replaced = magic.programs()
        assert len(replaced) == 1
        # Counted from zero each time: it is a new program.
        assert magic.run(READS).result == "101"
    shown = magic.run("display(reads['sizes'])").displays[0]["data"]["text/html"]
    # Jupyter's own reads may have come to it.
    assert re.search(r"<title>512 to 1,024: 1\d\d counts, ", shown)
    assert magic.run("reads.close()").status == "ok"
    assert kernel_objects.left_behind(before) == {}


def test_two_names_hold_two_programs(magic: Kernel) -> None:
    for name in ("one", "two"):
        assert magic.run(COUNTS.replace("%%bpf reads", f"%%bpf {name} {FLAGS}")).status == "ok"
    both = magic.programs()
    assert len(both) == 2
    assert magic.run("one.close(); two.closed").result == "False"
    left = magic.programs()
    assert len(left) == 1
    assert kernel_objects.are_gone(both - left)


def test_a_cell_that_does_not_compile_shows_its_line_and_detaches_what_was_there(magic: Kernel, before: Survey) -> None:
    good = COUNTS.replace("%%bpf reads", f"%%bpf reads {FLAGS}")
    assert magic.run(good).status == "ok"
    refused = magic.run(good.replace("args->ret", "args->no_such"))
    assert refused.status == "error"
    assert refused.error.startswith("CompileError: ")
    # The sixth line of the cell, as the editor numbers it.
    assert refused.displays[0]["data"]["text/plain"] == (
        "CompileError: line 6, column 41: no member named 'no_such' in 'struct tracepoint__syscalls__sys_exit_read'\n"
        "    6 |         sizes.increment(bpf_log2l(args->no_such));\n"
        "      |                                         ^\n"
        "hint: `syscalls:sys_exit_read` has the fields __syscall_nr, ret"
    )
    assert "<pre>    6 |         sizes.increment(" in refused.displays[0]["data"]["text/html"]
    assert refused.traceback == [refused.displays[0]["data"]["text/plain"].splitlines()[0]]
    assert kernel_objects.left_behind(before) == {}
    assert magic.run("reads").error.startswith("NameError")
    assert magic.run(good).status == "ok"


def test_a_program_that_the_kernel_refuses_leaves_nothing(magic: Kernel, before: Survey) -> None:
    refused = magic.run(
        "%%bpf\nTRACEPOINT_PROBE(syscalls, sys_exit_read)\n{\n    while (1) args->ret;\n    return 0;\n}"
    )
    assert (refused.status, len(refused.traceback)) == ("error", 1)
    assert refused.error.startswith("VerifierError: ")
    assert "the verifier&#x27;s whole log" in refused.displays[0]["data"]["text/html"]
    assert kernel_objects.left_behind(before) == {}


def test_what_is_no_name_is_said_without_a_traceback(magic: Kernel) -> None:
    said = magic.run("%%bpf two names\nint a;")
    assert (said.status, said.traceback) == ("error", [])
    assert said.text.startswith("UsageError: not the name of a variable: 'two names'")


def test_debug_shows_the_instructions(magic: Kernel) -> None:
    listing = magic.run(COUNTS.replace("%%bpf reads", f"%%bpf reads --debug {FLAGS}")).displays[1]["data"]
    assert "\ntracepoint__syscalls__sys_exit_read:\n   0: " in listing["text/plain"]
    assert "<details><summary>tracepoint__syscalls__sys_exit_read: " in listing["text/html"]


def test_the_extension_can_be_taken_away(magic: Kernel) -> None:
    assert magic.run("%unload_ext rtrace").status == "ok"
    assert "Cell magic `%%bpf` not found" in magic.run("%%bpf\nint a;").text
    assert magic.run("%load_ext rtrace.jupyter").status == "ok"
    assert magic.run("%%bpf\nint a;").status == "ok"


@pytest.mark.parametrize(("cell", "loop"), POLLS.values(), ids=POLLS)
def test_the_stop_button_ends_a_loop_and_the_program_stays(magic: Kernel, before: Survey, cell: str, loop: str) -> None:
    assert magic.run(cell).status == "ok"
    assert magic.run(BUSY).status == "ok"
    done = magic.run(loop, at_display={1: magic.interrupt})
    assert (done.status, done.error) == ("error", "KeyboardInterrupt: ")
    assert magic.run("done.set(); thread.join(); 1 + 1").result == "2"
    assert (magic.run("b.closed").result, len(magic.programs())) == ("False", 1)
    # The buffer can be read on, and the object let go of.
    assert magic.run("b.perf_buffer_poll(0); b.close(); b.closed").result == "True"
    assert kernel_objects.left_behind(before) == {}


def test_a_restart_while_events_are_polled(magic: Kernel, before: Survey) -> None:
    cell, loop = POLLS["perf buffer"]
    assert magic.run(cell).status == "ok"
    assert magic.run(BUSY).status == "ok"
    message = magic.begin(loop)
    magic.wait_for_display(message, 1)
    mine = magic.programs()
    assert len(mine) == 1
    magic.restart()
    assert kernel_objects.are_gone(mine)
    assert kernel_objects.left_behind(before) == {}
    assert magic.run(f"%load_ext rtrace\n{MINE}").status == "ok"
    assert magic.run(cell).status == "ok"
    assert magic.run("b.close()").status == "ok"


def test_a_program_and_a_measurement_at_once(magic: Kernel) -> None:
    assert magic.run(EVENTS).status == "ok"
    assert magic.run(BUSY).status == "ok"
    live = "with rtrace.vfsreadlat() as t: t.live(interval=0.05)"
    done = magic.run(live, at_display={3: magic.interrupt})
    assert (done.status, done.error) == ("ok", "")
    assert len(magic.programs()) == 1
    # The stop button was the view's: the program has gone on.
    assert magic.run("done.set(); thread.join(); len(b['events'].read(timeout=0)) >= 0").result == "True"
    assert magic.run("b.close()").status == "ok"


def test_a_shutdown_detaches_it(before: Survey) -> None:
    with Kernel() as started:
        started.run(f"%load_ext rtrace\n{MINE}")
        started.run(PRINTS)
        mine = started.programs()
        assert len(mine) == 1
    assert kernel_objects.are_gone(mine)
    assert kernel_objects.left_behind(before) == {}
