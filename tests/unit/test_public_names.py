"""What users see: names, documentation, and native classes that threads may share."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rtrace
from rtrace import _rtrace

NATIVE = [name for name in dir(_rtrace) if not name.startswith("_")]


@pytest.mark.parametrize("name", rtrace.__all__)
def test_public_names_are_there_and_documented(name: str) -> None:
    found = getattr(rtrace, name)
    assert (found.__doc__ or "").strip(), f"rtrace.{name} has no docstring"


@pytest.mark.parametrize("name", NATIVE)
def test_native_names_are_documented(name: str) -> None:
    found = getattr(_rtrace, name)
    members = (
        [getattr(found, member) for member in vars(found) if not member.startswith("_")]
        if isinstance(found, type)
        else []
    )
    undocumented = [member for member in [found, *members] if not (member.__doc__ or "").strip()]
    assert not undocumented


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        rtrace.no_such_name  # noqa: B018
    assert "vfsreadlat" in dir(rtrace)


def test_native_classes_are_frozen() -> None:
    """A frozen class does its own locking: nothing then relies on the interpreter's."""
    sources = "\n".join(path.read_text() for path in Path("rust/src").rglob("*.rs"))
    classes = re.findall(r"#\[pyclass(.*?)\]\n", sources)
    assert classes
    assert all("frozen" in options for options in classes)


@pytest.mark.parametrize(
    "module", ["typing", "dataclasses", "pathlib", "logging", "inspect", "numpy", "argparse", "difflib"]
)
def test_importing_rtrace_stays_cheap(module: str) -> None:
    """Start-up is measured against tools written in C: what a measurement does not need is not imported."""
    code = f"import sys; import rtrace; rtrace.vfsreadlat; print({module!r} in sys.modules)"
    # Without site, which may import anything (editable installs, for one).
    shown = subprocess.run(
        [sys.executable, "-S", "-E", "-c", f"import sys; sys.path[:0] = ['python']; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize(
    "module",
    [
        "argparse", "collections", "contextlib", "ctypes", "dataclasses", "difflib", "enum", "functools", "inspect",
        "logging", "numpy", "pathlib", "re", "typing",
    ],
)  # fmt: skip
def test_importing_bcc_stays_cheap(module: str) -> None:
    """Scripts for bcc are measured against bcc."""
    code = f"import sys; sys.path[:0] = ['python']; from rtrace import BPF; print({module!r} in sys.modules)"
    shown = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_a_histogram_is_printed_without_numpy() -> None:
    """Importing numpy takes longer than all the rest, and twice the memory."""
    code = (
        "import sys; sys.path[:0] = ['python']; from rtrace import Histogram;"
        "hist = Histogram(counts=[0, 3] + [0] * 62, sum_ns=1, unit='us', target='x', by='pid', "
        "groups={1: Histogram(counts=[0, 3] + [0] * 62, sum_ns=1, unit='us', target='x')});"
        "(hist + hist - hist).print(); print(hist.total, repr(hist), 'numpy' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True)
    assert (
        shown.stdout.splitlines()[-1] == "3 <Histogram x mechanism= total=3 p50=2..4 us by=pid groups=1 lost=0> False"
    )


def test_programs_of_the_shape_mirror_the_python_side() -> None:
    """Every shape has its file at each step of the path."""
    for shape in Path("ebpf/prebuilt").glob("*.o"):
        for home in (
            "ebpf/common/src/{}.rs",
            "ebpf/programs/src/{}.rs",
            "python/rtrace/shapes/{}.py",
            "tests/kernel/test_{}.py",
        ):
            assert Path(home.format(shape.stem)).exists(), home
