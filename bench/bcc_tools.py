"""``python -m bench.bcc_tools [TOOL ...]``: how many of bcc's own tools run unmodified on rtrace.

Runs each tool of the distribution's package bpfcc-tools by ``python -m rtrace.bcc`` beside a workload, lets it trace
for some seconds, ends it as Ctrl-C does, and tells how far it came. Meant for a guest, where there are kprobes:

    python -m tests.vm -k 6.1 -- .venv/bin/python -m bench.bcc_tools

With ``--bcc HEADERS`` it is bcc that runs them, for comparison. With ``--load`` nothing is attached: tells on any
machine whose C compiles and whose programs the verifier accepts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bcc_load import LOADED
from bench.peers import SYSTEM_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUFFIX = "-bpfcc"
FOLDER = Path("/usr/sbin")
# Mechanisms other than kprobes, kretprobes and tracepoints.
OTHERS = re.compile(
    r"attach_u(ret)?probe|USDT|RAW_TRACEPOINT_PROBE|K(RET)?FUNC_PROBE|KMOD_RET|LSM_PROBE|attach_perf_event"
    r"|attach_raw_tracepoint|attach_kfunc|open_perf_event|attach_xdp|BPF\.XDP|SOCKET_FILTER"
)
TOOLS = re.compile(r"^\s*from bcc import .*\bBPF\b|^\s*import bcc$", re.MULTILINE)
OURS = re.compile(r"kprobe|TRACEPOINT_PROBE|attach_tracepoint")
# Tools that draw on a terminal, and are ended by a key or Ctrl-C alone.
SCREENS = re.compile(r"^import curses", re.MULTILINE)
# Seconds of an emulated machine for an interval of one.
PATIENCE = 30.0
# Tools that print when their interval is over, or that must be told what to look at.
ARGUMENTS = {
    "biolatency": "1 1",
    "biolatpcts": "{disk} -i 1",
    "biopattern": "1 1",
    "biotop": "-C 1 1",
    "btrfsdist": "1 1",
    "btrfsslower": "0",
    "cachestat": "1 1",
    "cachetop": "1",
    "cpudist": "1 1",
    "dcstat": "1 1",
    "dirtop": "-C -d {folder} 1 1",
    "ext4dist": "1 1",
    "ext4slower": "0",
    "fileslower": "0",
    "filetop": "-C 1 1",
    "hardirqs": "1 1",
    "inject": "kmalloc -v (true)",
    "nfsdist": "1 1",
    "nfsslower": "0",
    "offcputime": "1",
    "offwaketime": "1",
    "runqlat": "1 1",
    "runqlen": "1 1",
    "slabratetop": "-C 1 1",
    "softirqs": "1 1",
    "syscount": "-d 1",
    "tcprtt": "-i 1 -d 1",
    "tcpsubnet": "-i 1",
    "tcptop": "-C 1 1",
    "vfscount": "1",
    "vfsstat": "1 1",
    "virtiostat": "1 1",
    "xfsdist": "1 1",
    "xfsslower": "0",
    "zfsdist": "1 1",
    "zfsslower": "0",
    "funclatency": "-d 1 vfs_read",
    "funccount": "-d 1 vfs_read",
    "stackcount": "-D 1 vfs_read",
    "argdist": "-d 1 -C p::vfs_read()",
    "trace": "vfs_read",
    "profile": "1",
    "llcstat": "1",
    "wakeuptime": "1",
    "memleak": "-o 0 1 1",
    "ttysnoop": "/dev/tty1",
    "deadlock": "{pid}",
    "funcinterval": "vfs_read",
    "funcslower": "vfs_read",
    "netqtop": "-n lo",
}


@dataclass(slots=True)
class Run:
    """How far one tool came."""

    tool: str
    links: int
    lines: int
    seconds: float
    status: int | None
    stdout: str
    stderr: str
    loaded_only: bool = False

    @property
    def verdict(self) -> str:
        """One word: loads, prints, silent (nothing to show), refuses (the kernel lacks what it needs) or fails."""
        if "Traceback" in self.stderr:
            return "fails"
        if not self.links:
            return "refuses"
        if self.loaded_only:
            return "loads"
        return "prints" if self.lines > 1 else "silent"

    @property
    def reason(self) -> str:
        """The last line it said of what failed."""
        said = (self.stderr or self.stdout).strip().splitlines()
        return said[-1][:150] if said and self.verdict != "prints" else ""


def tools(*, simple: bool) -> list[str]:
    """Return the tools that use kprobes, kretprobes and tracepoints alone, or those that use others as well."""
    found = []
    for path in sorted(FOLDER.glob(f"*{SUFFIX}")):
        source = path.read_text(errors="replace")
        if TOOLS.search(source) and bool(OURS.search(source) and not OTHERS.search(source)) == simple:
            found.append(path.name.removesuffix(SUFFIX))
    return found


@contextlib.contextmanager
def output(*, terminal: bool) -> Iterator[tuple[int, Callable[[], int], Callable[[], str]]]:
    """Give a descriptor to write to, a terminal's or a file's, and functions: how much was written, and what."""
    with tempfile.TemporaryFile("w+", errors="replace") as file:

        def size() -> int:
            return os.fstat(file.fileno()).st_size

        def written() -> str:
            file.seek(0)
            return file.read()

        if not terminal:
            yield file.fileno(), size, written
            return
        ours, theirs = pty.openpty()

        def copy() -> None:
            # The terminal ends with an error once all that write to it are gone.
            with contextlib.suppress(OSError):
                while data := os.read(ours, 65536):
                    os.write(file.fileno(), data)

        copier = threading.Thread(target=copy)
        copier.start()
        open_still = True

        def written_there() -> str:
            nonlocal open_still
            if open_still:
                os.close(theirs)
                copier.join()
                os.close(ours)
                open_still = False
            return written()

        try:
            yield theirs, size, written_there
        finally:
            written_there()


def links_of(pid: int) -> int:
    """Return how many attachments a process holds."""
    count = 0
    with contextlib.suppress(OSError):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor.path)
                count += "bpf_link" in target or "perf_event" in target or "bpf-raw-tracepoint" in target
    return count


def run(tool: str, folder: Path, seconds: float, limit: float, headers: Path | None = None) -> Run:
    """Run one tool until it ends, or for some seconds after it has attached; with bcc itself if there are headers."""
    arguments = shlex.split(ARGUMENTS.get(tool, "").format(folder=folder, pid=os.getpid(), disk=a_disk()))
    start = [SYSTEM_PYTHON] if headers else [sys.executable, "-m", "rtrace.bcc"]
    command = [*start, str(FOLDER / f"{tool}{SUFFIX}"), *arguments]
    screen = bool(SCREENS.search((FOLDER / f"{tool}{SUFFIX}").read_text(errors="replace")))
    started = time.monotonic()
    with output(terminal=screen) as (out, drawn, written), tempfile.TemporaryFile("w+", errors="replace") as err:
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "TERM": "xterm"}
        if headers:
            environment["BCC_KERNEL_SOURCE"] = str(headers)
        child = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment)
        links, settled, drawn_then = 0, None, 0
        while child.poll() is None and time.monotonic() - started < limit:
            now = links_of(child.pid)
            # From the last attachment on.
            if now != links:
                links, settled, drawn_then = max(now, links), time.monotonic(), drawn()
            # What has arguments mostly ends by itself, after an interval.
            patience = PATIENCE if arguments and not screen else seconds
            over = settled is not None and links and time.monotonic() - settled > patience
            # What draws clears the screen before it attaches, and waits for a key for ever.
            if over and (not screen or drawn() > drawn_then):
                break
            time.sleep(0.1)
        taken = time.monotonic() - started
        for way, patience in ((signal.SIGINT, 20.0), (signal.SIGKILL, None)):
            if child.poll() is None:
                child.send_signal(way)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(patience)
        err.seek(0)
        stdout, stderr = written(), err.read()
    lines = sum(bool(line.strip()) for line in stdout.splitlines())
    return Run(tool, links, lines, taken, child.returncode, stdout, stderr)


def load(tool: str, folder: Path, limit: float) -> Run:
    """Run one tool up to where it would attach."""
    arguments = shlex.split(ARGUMENTS.get(tool, "").format(folder=folder, pid=os.getpid(), disk=a_disk()))
    script = FOLDER / f"{tool}{SUFFIX}"
    started = time.monotonic()
    screen = bool(SCREENS.search(script.read_text(errors="replace")))
    with output(terminal=screen) as (out, _, written), tempfile.TemporaryFile("w+", errors="replace") as err:
        command = [sys.executable, "-m", "bench.bcc_load", str(script), *arguments]
        environment = os.environ | {"TERM": "xterm"}
        done = subprocess.run(
            command, stdin=out if screen else subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
            timeout=limit, check=False,
        )  # fmt: skip
        err.seek(0)
        stdout, stderr = written(), err.read()
    told = re.search(rf"{LOADED} (\d+)", stderr)
    # A traceback comes after what the script's end says.
    stderr = stderr[: told.start()] + stderr[told.end() :] if told else stderr
    loaded = int(told[1]) if told else 0
    lines = len(stdout.splitlines())
    return Run(tool, loaded, lines, time.monotonic() - started, done.returncode, stdout, stderr, loaded_only=True)


def a_disk() -> str:
    """Return the path of a disk: the guest's own, or any that there is."""
    names = ("nullb0", *sorted(os.listdir("/sys/block"), reverse=True))
    return next((f"/dev/{name}" for name in names if Path("/dev", name).exists()), "")


def disk() -> Path:
    """Return a folder on an ext4 disk of the guest's own, with others mounted in it, or a temporary one elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="bcc-tools-"))
    if "RTRACE_VM" in os.environ:
        # Tools attach to functions of modules that nothing else here needs.
        for module in ("ext4", "xfs", "btrfs", "nfsv4", "md_mod", "null_blk memory_backed=1 gb=1 nr_devices=3"):
            prepare(f"modprobe {module}")
        prepare("mkfs.ext4 -q -F /dev/nullb0")
        prepare(f"mount /dev/nullb0 {folder}")
        for device, kind in (("/dev/nullb1", "xfs"), ("/dev/nullb2", "btrfs")):
            (folder / kind).mkdir(exist_ok=True)
            prepare(f"mkfs.{kind} -q -f {device}")
            prepare(f"mount {device} {folder / kind}")
        prepare("ip link set lo up")
    return folder


def prepare(command: str) -> None:
    """Run a command; tools that need what it does not do will tell."""
    try:
        subprocess.run(command.split(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{command}: {getattr(error, 'stderr', error)}".strip(), file=sys.stderr)


def main() -> int:
    """Run the tools and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.bcc_tools", description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="default: those with kprobes and tracepoints alone")
    parser.add_argument("--others", action="store_true", help="the tools that use other mechanisms, too, instead")
    parser.add_argument("--load", action="store_true", help="compile and load, and attach nothing")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to trace")
    parser.add_argument("--limit", type=float, default=90.0, help="when to give a tool up")
    parser.add_argument("--show", action="store_true", help="show what each tool printed")
    parser.add_argument("--bcc", type=Path, metavar="HEADERS", help="with bcc itself, on headers from bench.headers")
    options = parser.parse_args()
    folder = Path(tempfile.gettempdir()) if options.load else disk()
    workload = None if options.load else subprocess.Popen([sys.executable, "-m", "bench.bcc_workload", str(folder)])
    runs = []
    for tool in options.tools or tools(simple=not options.others):
        if options.load:
            done = load(tool, folder, options.limit)
        else:
            done = run(tool, folder, options.seconds, options.limit, options.bcc)
        runs.append(done)
        counts = f"{done.links:4} links {done.lines:5} lines {done.seconds:6.1f} s"
        print(f"{tool:14} {done.verdict:7} {counts}  {done.reason}", flush=True)
        if options.show:
            print(done.stdout[-3000:], done.stderr[-3000:], flush=True)
    counts = {
        word: sum(done.verdict == word for done in runs) for word in ("loads", "prints", "silent", "refuses", "fails")
    }
    print(f"{len(runs)} tools: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    if workload is not None:
        workload.send_signal(signal.SIGTERM)
        workload.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
