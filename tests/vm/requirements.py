"""The programs the harness runs, and the package that brings each of them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from tests.vm.errors import HarnessError

FOLDER = Path(__file__).parent
PIP_REQUIREMENTS = FOLDER / "pip-requirements.txt"
# Program -> Debian package. The Makefile and CI read the packages from `apt-packages.txt`; a test compares the two.
BOOT_PROGRAMS = {
    "busybox": "busybox-static",
    "file": "file",
    "modprobe": "kmod",
    "qemu-system-x86_64": "qemu-system-x86",
}
FETCH_PROGRAMS = {"apt-cache": "apt", "apt-get": "apt", "depmod": "kmod", "dpkg-deb": "dpkg"}


def kernels_required() -> bool:
    """Whether a kernel that cannot be had is a failure: in CI and where the kernel tests were asked for."""
    return bool(os.environ.get("CI")) or os.environ.get("RTRACE_KERNEL_TESTS") == "1"


def search_path() -> str:
    """Give PATH with the sbin folders, where a user who is not root does not look but modprobe lives."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find_program(name: str) -> str:
    """Give the path of a program of the tables above, or raise the error that names its package."""
    path = shutil.which(name, path=search_path())
    if path is None:
        package = (BOOT_PROGRAMS | FETCH_PROGRAMS).get(name, name)
        message = f"`{name}` is not installed"
        raise HarnessError(message, hint=f"apt-get install {package}")
    return path


def check_boot_requirements() -> None:
    """Make sure that a guest can be started.

    Raises
    ------
    HarnessError
        Naming every missing package at once.
    """
    missing = [name for name in BOOT_PROGRAMS if shutil.which(name, path=search_path()) is None]
    ways_out = []
    if missing:
        ways_out.append("apt-get install " + " ".join(sorted({BOOT_PROGRAMS[name] for name in missing})))
    if importlib.util.find_spec("virtme") is None:
        missing.append("virtme-ng")
        ways_out.append(f"pip install -r {os.path.relpath(PIP_REQUIREMENTS)}")
    if missing:
        message = f"the VM ring needs {', '.join(missing)}"
        raise HarnessError(message, hint=" && ".join(ways_out))
