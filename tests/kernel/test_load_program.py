"""Objects whose programs are loaded one by one, after their maps."""

from __future__ import annotations

import os

import pytest

from rtrace import ObjectSpec, _rtrace
from rtrace.errors import ClosedError, LoadError, RtraceError, TargetNotFoundError, VerifierError
from tests.kernel import kernel_objects
from tests.kernel.c_programs import compile_c

# System calls of ours are seen by both programs; `bad` reads beyond the map's value.
SOURCE = """
LICENSE;
COUNTERS
OURS
SEC("raw_tp/sys_enter") int on_raw(void *ctx) { if (is_ours()) COUNT(0); return 0; }
SEC("kprobe/anything") int on_any(void *ctx) { COUNT(1); return 0; }
SEC("raw_tp/sys_enter") int bad(void *ctx) {
    u32 zero = 0;
    u64 *count = bpf_map_lookup_elem(&counts, &zero);
    return count ? count[1] : 0;
}
"""


@pytest.fixture(scope="module")
def spec() -> ObjectSpec:
    made = compile_c(SOURCE)
    made.set_global("target_pid", os.getpid())
    return made


def test_maps_come_first_and_programs_one_by_one(spec: ObjectSpec) -> None:
    before = kernel_objects.survey()["programs"]
    with spec.load({}) as loaded:
        assert kernel_objects.survey()["programs"] == before
        assert loaded.program_names == ["bad", "on_any", "on_raw"]
        assert loaded.map("counts").lookup(0) == 0
        with pytest.raises(LoadError, match="no loaded program `on_raw`"):
            loaded.attach_raw_tracepoint("on_raw", "sys_enter")
        loaded.load_program("on_raw")
        assert len(kernel_objects.survey()["programs"] - before) == 1
        with loaded.attach_raw_tracepoint("on_raw", "sys_enter"):
            count = int(loaded.map("counts").lookup(0))
            for _ in range(101):
                os.getppid()
            assert loaded.map("counts").lookup(0) - count >= 101


def test_a_program_can_be_of_another_kind_than_its_section_says(spec: ObjectSpec) -> None:
    with spec.load({}) as loaded:
        loaded.load_program("on_any", kind="raw tracepoint")
        with loaded.attach_raw_tracepoint("on_any", "sys_enter"):
            os.getppid()
        assert loaded.map("counts").lookup(1) > 0


def test_loading_again_replaces_and_keeps_what_is_attached(spec: ObjectSpec) -> None:
    with spec.load({"on_raw": None}) as loaded:
        first = loaded.program_info("on_raw")["id"]
        with loaded.attach_raw_tracepoint("on_raw", "sys_enter"):
            loaded.load_program("on_raw")
            assert loaded.program_info("on_raw")["id"] != first
            assert first in kernel_objects.survey()["programs"]
            count = int(loaded.map("counts").lookup(0))
            os.getppid()
            assert loaded.map("counts").lookup(0) > count


def test_a_program_has_a_descriptor(spec: ObjectSpec) -> None:
    with spec.load({"on_raw": None}) as loaded:
        assert "bpf-prog" in os.readlink(f"/proc/self/fd/{loaded.program_fd('on_raw')}")


def test_a_refused_program_leaves_the_object_as_it_was(spec: ObjectSpec) -> None:
    with spec.load({}) as loaded:
        with pytest.raises(VerifierError, match="bad") as caught:
            loaded.load_program("bad")
        assert any("invalid access to map value" in line for line in caught.value.log)
        loaded.load_program("on_raw")


def test_wrong_names_are_told(spec: ObjectSpec) -> None:
    with spec.load({}) as loaded:
        with pytest.raises(LoadError, match="no program `on_row` in `test`; it has bad, on_any, on_raw"):
            loaded.load_program("on_row")
        with pytest.raises(ValueError, match='no kind of program "kprobes"; there are kprobe, kretprobe'):
            loaded.load_program("on_raw", kind="kprobes")
        with pytest.raises(ValueError, match="fentry program `on_any` needs the name of a function"):
            loaded.load_program("on_any", kind="fentry")
        with pytest.raises(TargetNotFoundError, match="no such function in the kernel's BTF"):
            loaded.load_program("on_any", kind="fexit", target="no_such_function")
        with pytest.raises(TargetNotFoundError, match="no such tracepoint in the kernel's BTF"):
            loaded.load_program("on_any", kind="btf tracepoint", target="no_such_tracepoint")


def test_a_closed_object_loads_nothing(spec: ObjectSpec) -> None:
    loaded = spec.load({})
    loaded.close()
    with pytest.raises(ClosedError):
        loaded.load_program("on_raw")
    with pytest.raises(ClosedError):
        assert loaded.program_names


def test_typed_arguments_of_a_tracepoint() -> None:
    spec = compile_c("""
    LICENSE;
    COUNTERS
    OURS
    /* The second argument of sys_enter is the number of the system call. */
    SEC("tp_btf/sys_enter") int typed(u64 *ctx) { if (is_ours() && ctx[1] == 39) COUNT(0); return 0; }
    """)
    spec.set_global("target_pid", os.getpid())
    assert spec.programs == {"typed": "btf tracepoint"}
    with spec.load({"typed": "sys_enter"}) as loaded:
        with loaded.attach_trampoline("typed") as link:
            assert (link.kind, link.target) == ("btf tracepoint", "sys_enter")
            for _ in range(101):
                os.getpid()
        assert loaded.map("counts").lookup(0) == 101


# Bit fields and arrays in a key; a program that speaks of both maps.
TYPES = """
struct key_t { u32 flags : 3; char name[5]; };
enum small { ONE = 1, TWO };
struct value_t { u64 total; enum small which; u16 parts[3]; };
BPF_HASH(counts, struct key_t, struct value_t);
BPF_PERF_OUTPUT(events);
TRACEPOINT_PROBE(sched, sched_switch) {
    struct key_t key = {};
    struct value_t value = {};
    counts.update(&key, &value);
    events.perf_submit(args, &value, sizeof(value));
    return 0;
}
"""


def test_an_object_with_any_byte_corrupt_is_refused_or_works(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing panics, and what is contained says nothing on standard error."""
    data = _rtrace.compile_c(TYPES)
    refused = 0
    # With a prime number between, so that every kind of field is hit somewhere.
    for at in range(0, len(data), 5):
        corrupt = bytearray(data)
        corrupt[at] ^= 0xFF
        try:
            spec = ObjectSpec.parse(bytes(corrupt), "corrupt")
            with spec.load(dict.fromkeys(spec.programs)) as loaded:
                loaded.map("counts").to_dict()
        except (RtraceError, ValueError):
            refused += 1
    assert refused > 0
    assert capfd.readouterr().err == ""
