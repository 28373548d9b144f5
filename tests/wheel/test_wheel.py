"""The wheel of ``make wheel``, installed outside the checkout with no compiler in reach."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

# The newest is the one that `make wheel` has just built.
WHEELS = sorted(Path("dist").glob("rtrace-*.whl"), key=lambda path: path.stat().st_mtime)
WHEEL = WHEELS[-1].resolve() if WHEELS else None


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a clean environment with the wheel and numpy in it."""
    assert WHEEL is not None, "run `make wheel` first"
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", WHEEL], check=True, cwd=folder)
    # numpy as installed for the tests: fetching it again would need the network.
    installed = Path(np.__file__).parent.parent
    packages = next((folder / "lib").glob("python*/site-packages"))
    for name in ("numpy", "numpy.libs"):
        if (installed / name).exists():
            (packages / name).symlink_to(installed / name)
    return python


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the clean interpreter with no program on PATH and no variable of ours."""
    environment = {"PATH": "/nonexistent", "HOME": str(python.parent.parent)}
    return subprocess.run(
        [python, *arguments], env=environment, cwd=python.parent.parent, capture_output=True, text=True, check=False
    )


def test_holds_the_package_and_nothing_else() -> None:
    assert WHEEL is not None
    assert f"cp311-abi3-linux_{os.uname().machine}" in WHEEL.name or "manylinux" in WHEEL.name
    with zipfile.ZipFile(WHEEL) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"rtrace"}
    assert {"rtrace/_rtrace.abi3.so", "rtrace/_rtrace.pyi", "rtrace/py.typed", "rtrace/histogram.py"} <= set(names)
    # The eBPF objects are inside the native module.
    assert not [name for name in names if name.endswith((".o", ".c", ".h", ".rs", ".pyc"))]
    assert WHEEL.stat().st_size < 4 << 20


def test_imports_and_explains_itself(python: Path) -> None:
    done = run(python, "-m", "rtrace", "--version")
    assert done.returncode == 0, done.stderr
    done = run(python, "-m", "rtrace", "doctor")
    assert "vfs_read" in done.stdout, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_measures_without_a_compiler(python: Path) -> None:
    done = run(python, "-c", "import rtrace; hist = rtrace.vfsreadlat(duration=0.2); print(hist.mechanism, hist.lost)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "0"
    assert sys.version_info[:2] >= (3, 11)
