"""One boot: the virtme-ng command line, the script inside, and how its status comes out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.console import Console
from tests.vm.kernels import cache_folder
from tests.vm.requirements import search_path

if TYPE_CHECKING:
    from tests.vm.kernels import Kernel

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_STATUS = 124  # as timeout(1)
NO_STATUS = 1
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.1

# The root is the host's, over 9p and read-only. What the command writes goes to a tmpfs on /tmp, or to RTRACE_VM_OUT.
# Without udev (see virtme.py) virtme's init finds no port for the output and leaves it on the slow serial console.
SCRIPT = """\
for port in /sys/class/virtio-ports/*; do
  if [ "$(cat "$port/name")" = virtme.stdout ]; then exec >"/dev/${{port##*/}}"; fi
done
mkdir -p /run/rtrace/tmp
mount --rbind /tmp /run/rtrace/tmp
mount -t tmpfs -o mode=1777 tmpfs /tmp
for path in {below_tmp}; do
  mkdir -p "$path"; mount --rbind "/run/rtrace/$path" "$path"
done
mkdir -p /tmp/home
# The kernel's modules are in the cache, not in /lib/modules: tell modprobe, and the kernel when it calls modprobe.
printf '#!/bin/sh\\nexec /sbin/modprobe -d %s "$@"\\n' {root} >/run/rtrace/modprobe
chmod 755 /run/rtrace/modprobe
echo /run/rtrace/modprobe >/proc/sys/kernel/modprobe
cd {checkout}
uname -r >{run}/release
echo "kernel $(uname -r)"
env -i {environment} {command} 2>&1
echo $? >{run}/status.new
mv {run}/status.new {run}/status
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """How guests are run: seconds from power-on to the end, memory as QEMU writes it, number of CPUs."""

    timeout: float = 2400.0
    memory: str = "1G"
    cpus: int = 2
    alone: bool = True
    """Whether no other guest writes to stdout meanwhile; if one does, lines come whole."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set, it ends every guest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one guest."""

    key: str
    release: str
    result: str
    """``passed``, ``exit 3``, ``timeout``, ``panic``, ``no status`` or ``skipped``."""
    status: int
    boot_seconds: float | None
    seconds: float
    kept: Path | None = None
    """Folder with the console log and RTRACE_VM_OUT, kept unless there is nothing to see in it."""


def run_guest(kernel: Kernel, command: list[str], settings: Settings, module: Path | None = None) -> Outcome:
    """Boot `kernel`, run `command` in the checkout as root, and wait for the end.

    The command finds the test module, if there is one for this kernel, by RTRACE_VM_MODULE. Output is streamed to
    stdout as it comes. Nothing is written to the host but the run folder in the cache.

    Returns
    -------
    Outcome
        ``status`` is the command's own if the guest reported one, else 124 for a timeout and 1 for anything else.
    """
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    run = Path(tempfile.mkdtemp(prefix=f"{kernel.key}-", dir=runs))
    (run / "out").mkdir()
    (run / "guest.sh").write_text(guest_script(kernel, command, run, module))
    started = time.monotonic()
    with Console(kernel.key, run / "console.log", whole_lines=not settings.alone) as console:
        timed_out = _boot(virtme_command(kernel, run, settings), run, console, settings)
    seconds = time.monotonic() - started

    release = _read(run / "release") or kernel.release
    reported = _read(run / "status")
    if timed_out:
        result, status = "timeout", TIMEOUT_STATUS
    elif re.fullmatch(r"\d{1,3}", reported):
        status = int(reported)
        result = "passed" if status == 0 else f"exit {status}"
    else:
        result, status = ("panic" if console.panicked else "no status"), NO_STATUS
        console.show_tail()
    boot_seconds = None if console.first_output is None else console.first_output - started
    kept = None if status == 0 and not any((run / "out").iterdir()) else run
    if kept is None:
        shutil.rmtree(run)
    return Outcome(kernel.key, release, result, status, boot_seconds, seconds, kept)


def guest_script(kernel: Kernel, command: list[str], run: Path, module: Path | None = None) -> str:
    """Write the shell script that the guest runs as root."""
    inherited = {
        name: value for name, value in os.environ.items() if name.startswith(("RTRACE_", "PYTEST_", "NO_COLOR"))
    }
    environment = inherited | {
        "HOME": "/tmp/home",  # noqa: S108 (the guest's own tmpfs)
        "LANG": "C.UTF-8",
        "MODPROBE_OPTIONS": f"-d {kernel.root}",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), search_path()]),
        "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -p no:cacheprovider".strip(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "RTRACE_KERNEL_TESTS": "1",
        "RTRACE_VM": kernel.key,
        "RTRACE_VM_OUT": str(run / "out"),
        "USER": "root",
    }
    if module is not None:
        environment["RTRACE_VM_MODULE"] = str(module)
    # The tmpfs on /tmp must not hide what the command needs, should that be there.
    needed = {CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), cache_folder()}
    below_tmp = sorted(path for path in needed if path.is_relative_to("/tmp"))  # noqa: S108
    return SCRIPT.format(
        below_tmp=shlex.join(map(str, below_tmp)),
        checkout=shlex.quote(str(CHECKOUT)),
        command=shlex.join(command),
        environment=shlex.join(f"{name}={value}" for name, value in environment.items()),
        root=shlex.quote(str(kernel.root)),
        run=shlex.quote(str(run)),
    )


def virtme_command(kernel: Kernel, run: Path, settings: Settings) -> list[str]:
    """Give the command line of virtme-ng's lower half, `virtme-run`.

    `vng` itself adds copy-on-write overlays over most of the root, which costs a boot several seconds.
    """
    command = [sys.executable, "-m", "tests.vm.virtme", "--kimg", str(kernel.image), "--mods", "auto"]
    command += ["--user", "root", "--cpus", str(settings.cpus), "--memory", settings.memory]
    command += ["--rwdir", str(run), "--script-sh", f"exec sh {shlex.quote(str(run / 'guest.sh'))}"]
    # virtme-run waits 3 s per shared folder for a virtiofsd that QEMU's own package has in a version it cannot use.
    command += ["--force-9p"]
    # The console is kept in the log: errors, and on a panic everything.
    command += ["--show-boot-console", "-a", "loglevel=4"]
    if os.environ.get("RTRACE_VM_KVM") != "1":
        # Emulated, a slow CPU is no lockup.
        command += ["--disable-kvm", "-a", "nowatchdog"]
        # One host thread for all virtual CPUs. With a thread each, QEMU 7.2 sometimes runs stale code after the guest
        # patched itself (static keys, kprobes, ftrace): 2 of about 20 boots of 7.3 panicked with "Oops: int3". It looks
        # like what QEMU cb62bd15e14e and deba78709ae8 fixed (github.com/ClangBuiltLinux/boot-utils/issues/111).
        # On two cores it costs next to nothing, and where the host is busy it is quicker.
        command += ["-q=-accel", "-q", "tcg,thread=single"]
    return command


def _boot(command: list[str], run: Path, console: Console, settings: Settings) -> bool:
    """Run virtme-ng to its end; True if it had to be ended at the timeout, or because all are to end."""
    # PATH for modprobe; TMPDIR because virtme-run leaves files behind when it is ended.
    environment = {**os.environ, "PATH": search_path(), "TMPDIR": str(run)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=CHECKOUT,
        start_new_session=True,  # one group, so that QEMU can be ended with it
    )
    readers = [
        threading.Thread(target=console.follow, args=(process.stdout,), kwargs={"echo": True}),
        threading.Thread(target=console.follow, args=(process.stderr,), kwargs={"echo": False}),
    ]
    for reader in readers:
        reader.start()
    end = time.monotonic() + settings.timeout
    try:
        while process.poll() is None:
            if settings.stop.wait(_LOOK_SECONDS) or time.monotonic() > end:
                return True
        return False
    finally:
        _end(process)
        for reader in readers:
            reader.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group of `process`, which we started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
