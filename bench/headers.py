"""Kernel headers for bcc, from Debian's archive into the user's cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.vm.archive import Archive, run
from tests.vm.kernels import KernelSpec, cache_folder, exclusive, load_specs


def fetch(key: str) -> Path:
    """Give the folder with the headers of a kernel of tests/vm/kernels.toml, in the layout of one source tree."""
    (spec,) = load_specs([key])
    kernel = spec.fetch()
    headers = cache_folder() / "headers"
    folder = headers / kernel.release
    headers.mkdir(parents=True, exist_ok=True)
    with exclusive(headers / f"{key}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix=f".{key}-", dir=headers) as name:
                unpack(spec, kernel.release, next(iter(kernel.packages.values())), Path(name))
                (Path(name) / "tree").rename(folder)
    return folder


def unpack(spec: KernelSpec, release: str, version: str, folder: Path) -> None:
    """Download the two halves, the common one and the architecture's, and lay the second over the first."""
    archive = Archive(cache_folder() / "kernels" / "apt" / spec.key, spec.suites, spec.keyring)
    archive.update()
    names = [f"linux-headers-{release.removesuffix('-amd64')}-common", f"linux-headers-{release}"]
    for package in archive.download(dict.fromkeys(names, version), folder / "packages"):
        run(["dpkg-deb", "-x", str(package), str(folder)])
    for name in names:
        source = folder / "usr" / "src" / name
        for part in ("arch", "include"):
            shutil.copytree(source / part, folder / "tree" / part, symlinks=True, dirs_exist_ok=True)
