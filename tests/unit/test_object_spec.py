"""Objects before they are loaded: what may be edited, and that no file can do harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrace import ObjectSpec
from rtrace.errors import LoadError, RtraceError

OBJECT = Path("ebpf/prebuilt/function_latency.o").read_bytes()


@pytest.fixture
def spec() -> ObjectSpec:
    return ObjectSpec.parse(OBJECT, "test")


def test_knows_its_programs_maps_and_globals(spec: ObjectSpec) -> None:
    assert spec.programs["fnlat_kretprobe"] == "kretprobe"
    assert spec.programs["fnlat_fentry"] == "fentry"
    assert spec.programs["fnlat_sys_enter"] == "raw tracepoint"
    assert spec.maps["STARTS"] == 10240
    assert {"TARGET_PID", "UNIT_NS", "SYSCALLS"} <= set(spec.globals)
    assert not set(spec.globals) & set(spec.maps)


def test_program_names_fit_the_kernels_limit(spec: ObjectSpec) -> None:
    assert all(len(name) <= 15 for name in spec.programs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("TARGET_PID", 2**32 - 1), ("UNIT_NS", 1), ("SYSCALLS", (0, 17, -1, -1)), ("TARGET_PID", b"\1\0\0\0")],
)
def test_globals_take_what_fits(spec: ObjectSpec, name: str, value: int | bytes | tuple[int, ...]) -> None:
    spec.set_global(name, value)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("TARGET_PID", 2**32, ValueError),
        ("TARGET_PID", -(2**31) - 1, ValueError),
        ("TARGET_PID", b"\1", ValueError),
        ("TARGET_PID", 1.5, TypeError),
        ("TARGET_PID", "1", TypeError),
        ("SYSCALLS", (0, 1), ValueError),
        ("NO_SUCH", 1, LoadError),
        ("STARTS", 1, LoadError),
    ],
)
def test_globals_refuse_what_does_not(spec: ObjectSpec, name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        spec.set_global(name, value)


def test_a_missing_member_names_those_there_are(spec: ObjectSpec) -> None:
    with pytest.raises(LoadError, match="no map `START` in `test`.*STARTS"):
        spec.set_max_entries("START", 1)
    with pytest.raises(LoadError, match="no program `x` in `test`.*fnlat_kprobe"):
        spec.load({"x": None})


def test_a_trampoline_program_needs_a_function(spec: ObjectSpec) -> None:
    with pytest.raises((ValueError, RtraceError)):
        spec.load({"fnlat_fentry": None})


CORRUPT = """
import sys
from rtrace import ObjectSpec, RtraceError
refused = 0
data = open(sys.argv[1], "rb").read()
for at in range(len(data)):
    corrupt = bytearray(data)
    corrupt[at] ^= 0xFF
    try:
        spec = ObjectSpec.parse(bytes(corrupt), "corrupt")
        for map in spec.maps:
            spec.types(map)
        for program in spec.programs:
            spec.instructions(program)
    except RtraceError:
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("name", ["disksnoop", "vfsreadlat"])
def test_a_corrupt_byte_anywhere_is_an_error_or_nothing(name: str) -> None:
    """Nothing panics, and what is contained says nothing on standard error."""
    path = f"tests/data/objects/{name}.o"
    ended = subprocess.run([sys.executable, "-c", CORRUPT, path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) > 0


def test_unknown_shape_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="function_latency"):
        ObjectSpec.prebuilt("no_such_shape")
    with pytest.raises(FileNotFoundError):
        ObjectSpec.open(tmp_path / "missing.o")
    with pytest.raises(IsADirectoryError):
        ObjectSpec.open(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"no object at all", OBJECT[:100], bytes(4096), Path("/bin/true").read_bytes()]
)
def test_other_files_are_refused_or_empty(data: bytes) -> None:
    try:
        parsed = ObjectSpec.parse(data, "junk.o")
    except RtraceError as error:
        assert "junk.o" in str(error)
    else:
        assert not parsed.programs


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, len(OBJECT)))
def test_truncated_objects_never_panic(cut: int) -> None:
    parse_quietly(OBJECT[:cut])


@settings(max_examples=500, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, len(OBJECT) - 1), st.integers(0, 255)), min_size=1, max_size=20))
def test_corrupt_objects_never_panic(changes: list[tuple[int, int]]) -> None:
    data = bytearray(OBJECT)
    for position, byte in changes:
        data[position] = byte
    parse_quietly(bytes(data))


def parse_quietly(data: bytes) -> None:
    """Parse, and accept any typed refusal."""
    try:
        parsed = ObjectSpec.parse(data, "corrupt")
    except RtraceError:
        return
    assert isinstance(parsed.programs, dict)
    assert isinstance(parsed.maps, dict)
