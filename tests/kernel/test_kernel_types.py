"""The kernel's types as C: clang must find everything where the kernel has it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c as compile_dialect
from rtrace._rtrace import kernel_types
from tests import btf

if TYPE_CHECKING:
    from pathlib import Path

CLANG = shutil.which("clang")
pytestmark = [
    pytest.mark.skipif(CLANG is None, reason="no clang"),
    pytest.mark.skipif(not btf.KERNEL.exists(), reason="this kernel has no BTF"),
]

BASE = """
typedef unsigned char u8, __u8; typedef unsigned short u16, __u16; typedef unsigned int u32, __u32;
typedef unsigned long long u64, __u64; typedef signed char s8, __s8; typedef short s16, __s16; typedef int s32, __s32;
typedef long long s64, __s64; typedef _Bool bool; typedef unsigned long size_t;
"""


@functools.cache
def kernel() -> btf.Btf:
    return btf.Btf(btf.KERNEL.read_bytes())


def compile_c(folder: Path, text: str, *flags: str) -> Path:
    """Compile for eBPF; every warning is an error."""
    source, compiled = folder / "types.c", folder / "types.o"
    source.write_text(BASE + text)
    command = ["clang", "-target", "bpf", "-O2", "-g", "-Wall", "-Werror", "-c", str(source), "-o", str(compiled)]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return compiled


def assertions(record: btf.Record) -> list[str]:
    """Return C that does not compile unless the record is laid out as in the kernel."""
    name = f"{record.keyword} {record.tag}"
    claims = [f"sizeof({name}) == {record.size}"] + [
        f"__builtin_offsetof({name}, {member.name}) == {member.offset // 8}"
        for member in record.members
        if member.name and not member.bits
    ]
    return [f"_Static_assert({claim}, {json.dumps(claim)});" for claim in claims]


def check(folder: Path, records: list[btf.Record]) -> None:
    text = kernel_types({record.tag for record in records})
    claims = "\n".join(claim for record in records for claim in assertions(record))
    compile_c(folder, f"{text}\n{claims}\n", "-fsyntax-only")


def test_every_struct_and_union_is_where_it_should_be(tmp_path: Path) -> None:
    records = list(kernel().records.values())
    assert len(records) > 1000
    # With all that they need; for all of them at once clang takes most of a minute where it is emulated.
    check(tmp_path, records[:: 4 if "RTRACE_VM" in os.environ else 1])


@pytest.mark.parametrize("start", range(0, 60, 15))
def test_what_a_few_types_need_comes_with_them(tmp_path: Path, start: int) -> None:
    """Asked for all at once, no type can miss another."""
    records = list(kernel().records.values())[start::150]
    check(tmp_path, records)


@pytest.mark.parametrize("tag", ["task_struct", "request", "pt_regs"])
def test_one_type_alone(tmp_path: Path, tag: str) -> None:
    check(tmp_path, [kernel().records[tag]])


def test_types_of_modules(tmp_path: Path) -> None:
    """What the kernel itself does not have, one of its modules may."""
    known = {*kernel().records, *kernel().enumerations}
    paths = sorted(path for path in btf.KERNEL.parent.iterdir() if path != btf.KERNEL)
    for path in paths:
        module = btf.Btf(path.read_bytes(), kernel())
        records = [record for tag, record in module.records.items() if tag not in known]
        if records:
            check(tmp_path, records)
        known |= {*module.records, *module.enumerations}
    if not paths:
        pytest.skip("no module with BTF is loaded")


def test_bit_fields_are_where_they_should_be(tmp_path: Path) -> None:
    """C has no `offsetof` for them; what clang makes of the text says in its own BTF where they are."""
    records = [record for record in kernel().records.values() if any(member.bits for member in record.members)]
    assert len(records) > 100
    variables = "".join(f"{record.keyword} {record.tag} v{index};\n" for index, record in enumerate(records))
    compiled = compile_c(tmp_path, kernel_types({record.tag for record in records}) + variables)
    written = btf.of_object(compiled).records
    assert [written[record.tag] for record in records] == records


def test_enumerators_have_their_values(tmp_path: Path) -> None:
    enumerators = kernel().enumerators
    assert len(enumerators) > 5000
    suffixes = {name: "ULL" if value > 2**63 - 1 else "LL" for name, value in enumerators.items()}
    claims = "".join(
        f'_Static_assert({name} == {max(value, 1 - 2**63)}{suffixes[name]}, "{name}");\n'
        for name, value in enumerators.items()
    )
    compile_c(tmp_path, kernel_types(set(enumerators)) + claims, "-fsyntax-only")


def test_types_behind_pointers_are_there_if_a_member_leads_to_them(tmp_path: Path) -> None:
    program = """
    const unsigned char *name(struct file *file) { return file->f_path.dentry->d_name.name; }
    unsigned int inum(struct task_struct *t) { return t->nsproxy->pid_ns_for_children->ns.inum; }
    """
    identifiers = {"file", "f_path", "dentry", "d_name", "name", "task_struct", "nsproxy"}
    text = kernel_types(identifiers | {"t", "pid_ns_for_children", "ns", "inum"})
    assert "struct nsproxy {" in text
    assert "struct pid_namespace {" in text
    assert "struct super_block {" not in text
    compile_c(tmp_path, text + program)


def test_what_the_program_defines_is_its_own(tmp_path: Path) -> None:
    program = """
    struct dentry { int mine; };
    typedef struct { int mine; } spinlock_t;
    int PIDTYPE_PID(void) { return 1; }
    int mine(struct file *file) { return file->f_path.dentry->mine; }
    """
    identifiers = {"dentry", "mine", "spinlock_t", "PIDTYPE_PID", "file", "f_path", "pid_type", "PIDTYPE_MAX"}
    text = kernel_types(identifiers, {"dentry", "spinlock_t", "PIDTYPE_PID"})
    assert "struct dentry {" not in text
    compile_c(tmp_path, text + program)


def test_names_without_a_meaning_cost_nothing() -> None:
    assert kernel_types({"no_such_type_anywhere", "", "int", "struct"}) == ""
    assert kernel_types(set()) == ""
    assert kernel_types({"file", "task_struct"}, {"file", "task_struct"}) == ""


def test_the_same_request_has_the_same_answer() -> None:
    identifiers = {"file", "sock", "request", "task_struct", "pid_type", "PIDTYPE_PID", "spinlock_t", "dentry", "inode"}
    assert len({kernel_types(set(order)) for order in (identifiers, sorted(identifiers), set(identifiers))}) == 1


def test_maps_of_events_know_what_programs_send() -> None:
    program = """
    struct data_t { u32 pid; struct in6_addr address; char comm[16]; };
    BPF_PERF_OUTPUT(events);
    BPF_RINGBUF_OUTPUT(ring, 8);
    BPF_HASH(plain);
    int kprobe__vfs_read(struct pt_regs *ctx, struct file *file) {
        struct data_t data = {.pid = file->f_flags};
        u32 number = 1;
        ring.ringbuf_output(&number, sizeof(number), 0);
        events.perf_submit(ctx, &data, sizeof(data));
        return 0;
    }
    """
    spec = ObjectSpec.parse(compile_dialect(program, cache=False), "events.c")
    sent = spec.types("events")["event"]
    assert sent is not None
    assert (sent["kind"], sent["name"], sent["size"]) == ("struct", "data_t", 36)
    assert [member["name"] for member in sent["members"]] == ["pid", "address", "comm"]
    assert sent["members"][1]["type"]["members"][0]["type"]["kind"] == "union"
    number = spec.types("ring")["event"]
    assert number is not None
    assert (number["kind"], number["size"], number["signed"]) == ("int", 4, False)
    assert spec.types("plain")["event"] is None
