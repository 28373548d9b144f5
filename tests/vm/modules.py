"""Building the test module that defines ``random:urandom_read``, which no kernel of the matrix has any more."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.archive import Archive, run
from tests.vm.kernels import cache_folder, exclusive

if TYPE_CHECKING:
    from tests.vm.kernels import Kernel, KernelSpec

SOURCE = Path(__file__).parent / "urandom"
NAME = "rtrace_urandom.ko"


def build(spec: KernelSpec, kernel: Kernel) -> Path | None:
    """Give the module, built for this kernel, or None where the table does not ask for it.

    It is kept in the cache until its source or the kernel changes.
    """
    if spec.kbuild is None:
        return None
    files = sorted(path for path in SOURCE.iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
    modules = cache_folder() / "modules"
    modules.mkdir(parents=True, exist_ok=True)
    module = modules / f"{kernel.release}-{digest}.ko"
    with exclusive(modules / f"{spec.key}.lock"):
        if not module.exists():
            with tempfile.TemporaryDirectory(prefix=f".{spec.key}-", dir=modules) as folder:
                built = compile_in(Path(folder), spec, kernel, spec.kbuild)
                os.replace(built, module)
    return module


def compile_in(folder: Path, spec: KernelSpec, kernel: Kernel, kbuild: str) -> Path:
    """Put the kernel's headers together to one tree, and build the module against it."""
    release = kernel.release
    common, own = f"linux-headers-{release.removesuffix('-amd64')}-common", f"linux-headers-{release}"
    version = next(iter(kernel.packages.values()))
    archive = Archive(cache_folder() / "kernels" / "apt" / spec.key, spec.suites, spec.keyring)
    archive.update()
    for package in archive.download(dict.fromkeys([common, own, kbuild], version), folder / "packages"):
        run(["dpkg-deb", "-x", str(package), str(folder)])
    tree = folder / "usr" / "src" / common
    headers = folder / "usr" / "src" / own
    for part in ("arch", "include"):
        shutil.copytree(headers / part, tree / part, symlinks=True, dirs_exist_ok=True)
    for name in (".config", "Module.symvers"):
        shutil.copy(headers / name, tree / name)
    for part in ("scripts", "tools"):
        link = tree / part
        link.unlink(missing_ok=True)
        link.symlink_to(folder / "usr" / "lib" / kbuild / part)
    source = folder / "source"
    shutil.copytree(SOURCE, source)
    run(["make", "-s", "-C", str(tree), f"M={source}", "modules"])
    return source / NAME
