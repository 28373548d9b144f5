"""From a key of `kernels.toml` to an unpacked kernel in the user's cache."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.archive import Archive, run
from tests.vm.errors import HarnessError, KernelUnavailableError
from tests.vm.requirements import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = Path(__file__).with_name("kernels.toml")
STAMP = "stamp.json"


def cache_folder() -> Path:
    """Give the folder below which kernels and runs are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "rtrace"


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel, ready to boot."""

    key: str
    release: str
    """What `uname -r` says inside."""
    packages: dict[str, str]
    root: Path
    """Folder with ``lib/modules/RELEASE``, as `modprobe -d` takes it."""
    image: Path


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """One entry of `kernels.toml`."""

    key: str
    package: str
    parts: str
    keyring: str
    suites: tuple[str, ...]
    kbuild: str | None
    """Package with what builds modules for it, where the test module is wanted."""
    tests: tuple[str, ...]
    """Test files that run on it unless told otherwise."""

    def cached(self) -> Kernel | None:
        """Give the kernel if the cache has it, without asking apt; None if not, or if its suites were edited since."""
        folder = cache_folder() / "kernels" / self.key
        try:
            stamp = json.loads((folder / STAMP).read_text())
        except FileNotFoundError:
            return None
        if tuple(stamp["suites"]) != self.suites:
            return None
        return Kernel(self.key, stamp["release"], stamp["packages"], folder / "root", folder / stamp["image"])

    def fetch(self, *, refresh: bool = False) -> Kernel:
        """Give the kernel from the cache, or download and unpack it.

        Parameters
        ----------
        refresh
            Ask apt again for the newest version even if the cache has one.

        Raises
        ------
        KernelUnavailableError
            If apt cannot find, check or download it; the cache is left as it was.
        """
        kernel = self.cached()
        if kernel is not None and not refresh:
            return kernel
        kernels = cache_folder() / "kernels"
        kernels.mkdir(parents=True, exist_ok=True)
        with exclusive(kernels / f"{self.key}.lock"):
            kernel = self.cached()  # another process may have been quicker
            if kernel is not None and not refresh:
                return kernel
            for leftover in kernels.glob(f".{self.key}-*"):
                shutil.rmtree(leftover)
            archive = Archive(kernels / "apt" / self.key, self.suites, self.keyring)
            archive.update()
            packages = archive.resolve(self.package, self.parts)
            if kernel is not None and kernel.packages == packages:
                return kernel
            with tempfile.TemporaryDirectory(prefix=f".{self.key}-", dir=kernels) as name:
                self._unpack(archive, packages, Path(name))
                self._replace(Path(name))
        kernel = self.cached()
        if kernel is None:
            message = f"the kernel `{self.key}` vanished from the cache while it was unpacked"
            raise KernelUnavailableError(message)
        return kernel

    def _unpack(self, archive: Archive, packages: dict[str, str], folder: Path) -> None:
        root = folder / "new" / "root"
        root.mkdir(parents=True)
        for package in archive.download(packages, folder / "packages"):
            run([find_program("dpkg-deb"), "-x", str(package), str(root)])
        # Debian's older packages have /lib/modules, the newer ones /usr/lib/modules, and kmod looks in the one or the
        # other: make both names lead to the same place.
        if (root / "lib").exists():
            (root / "usr" / "lib").mkdir(parents=True, exist_ok=True)
            (root / "lib" / "modules").rename(root / "usr" / "lib" / "modules")
            shutil.rmtree(root / "lib")
        (root / "lib").symlink_to("usr/lib")
        modules = [path for path in (root / "lib" / "modules").glob("*") if path.is_dir()]
        images = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
        if len(modules) != 1 or len(images) != 1:
            message = f"{', '.join(packages)}: expected one vmlinuz and one modules folder"
            raise KernelUnavailableError(message)
        release = modules[0].name
        run([find_program("depmod"), "-a", "-b", str(root), release])
        stamp = {
            "suites": self.suites,
            "packages": packages,
            "release": release,
            "image": str(images[0].relative_to(root.parent)),
        }
        (root.parent / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")

    def _replace(self, folder: Path) -> None:
        final = cache_folder() / "kernels" / self.key
        if final.exists():
            final.rename(folder / "old")
        (folder / "new").rename(final)


def load_specs(keys: list[str] | None = None) -> list[KernelSpec]:
    """Read `kernels.toml`, all of it or the kernels named.

    Raises
    ------
    HarnessError
        If a key is not in the table.
    """
    table = tomllib.loads(TABLE.read_text())
    known = {
        key: KernelSpec(
            key,
            table["package"],
            table["parts"],
            table["keyring"],
            tuple(entry["suites"]),
            entry.get("kbuild"),
            (*table["everywhere"], *entry["also"]),
        )
        for key, entry in table["kernel"].items()
    }
    for key in keys or ():
        if key not in known:
            message = f"no kernel `{key}` in {TABLE.name}"
            raise HarnessError(message, hint=f"one of {', '.join(known)}")
    return [known[key] for key in keys or known]


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Let one process at a time fetch a kernel; the lock goes with the process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
