"""``python -m bench.bcc_workload FOLDER``: does again and again what bcc's tools look at, until it is ended.

FOLDER should be on a disk of its own, so that file systems and block devices have something to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND = 4096


def files(folder: Path) -> None:
    """Write, sync, read, rename, stat and remove a file, and look for one that is not there."""
    path = folder / "file"
    with path.open("wb") as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.read()
    path.rename(folder / "renamed")
    (folder / "renamed").unlink()
    with contextlib.suppress(FileNotFoundError):
        (folder / "missing").stat()
    with contextlib.suppress(FileNotFoundError):
        os.truncate(folder / "missing", 0)
    os.statvfs(folder)
    os.sync()


def processes() -> None:
    """Run programs that succeed and fail, and send a signal."""
    subprocess.run(["/bin/true"], check=False)
    subprocess.run(["/bin/false"], check=False)
    os.kill(os.getpid(), 0)
    time.sleep(0.01)


def network() -> None:
    """Bind, listen, connect, talk and close over loopback; connect where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            for _ in range(20):
                client.sendall(bytes(1024))
                accepted.recv(2048)
            time.sleep(0.005)
    with socket.socket() as refused, contextlib.suppress(ConnectionRefusedError):
        refused.connect(("127.0.0.1", 1))


def kernel(folder: Path) -> None:
    """Mount and unmount, share memory, pass a file descriptor."""
    path = os.fsencode(folder / "mount")
    Path(os.fsdecode(path)).mkdir(exist_ok=True)
    LIBC.mount(path, path, None, MS_BIND, None)
    LIBC.umount2(path, 0)
    shared = LIBC.shmget(0, mmap.PAGESIZE, 0o1600)
    LIBC.shmctl(shared, 0, None)
    left, right = socket.socketpair()
    with left, right:
        socket.send_fds(left, [b"x"], [left.fileno()])
        _, received, _, _ = socket.recv_fds(right, 1, 1)
        os.close(received[0])


def libraries() -> None:
    """Start a thread, talk over TLS in memory, type a command into a shell."""
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    thread.join()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = anonymous(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_client, to_server)
    server = anonymous(ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    client.write(b"hello")
    server.read()
    # A shell reads lines by readline only from a terminal.
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/bash", ["bash", "--norc", "-i"])  # noqa: S606  # no shell starts the shell
    os.write(terminal, b"true\nexit\n")
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass
    os.close(terminal)
    os.waitpid(pid, 0)


def anonymous(side: ssl._SSLMethod) -> ssl.SSLContext:
    """Give a context that needs no certificates."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    return context


def memory(cgroups: Path) -> None:
    """Run out of memory, in a cgroup of its own."""
    group = cgroups / "small"
    with contextlib.suppress(OSError):
        (cgroups / "cgroup.subtree_control").write_text("+memory")
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text("16M")
        command = f"echo $$ >{group}/cgroup.procs; exec {sys.executable} -c 'b\"x\" * (1 << 26)'"
        subprocess.run(["/bin/sh", "-c", command], check=False, stderr=subprocess.DEVNULL)


def main(folder: Path) -> None:
    """Go round until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    cgroups = None
    if "RTRACE_VM" in os.environ:
        cgroups = Path(tempfile.mkdtemp(prefix="cgroups-"))
        LIBC.mount(b"none", os.fsencode(cgroups), b"cgroup2", 0, None)
    folders = [folder, *(found for found in folder.iterdir() if found.is_mount())]
    while True:
        for place in folders:
            files(place)
        processes()
        libraries()
        # A guest's own cgroups only.
        if cgroups:
            memory(cgroups)
        network()
        kernel(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
