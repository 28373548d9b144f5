"""Kprobes, `fmod_ret` and security hooks on a function that runs once for each getpgid of another process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.errors import TargetNotFoundError
from tests.kernel.c_programs import compile_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtrace._rtrace import Object

SOURCE = """
LICENSE;
COUNTERS
OURS
SEC("kprobe/x") int probe(void *ctx) { if (is_ours()) COUNT(0); return 0; }
SEC("kretprobe/x") int on_return(void *ctx) { if (is_ours()) COUNT(1); return 0; }
/* The last argument is what was returned so far; -1 is EPERM. */
SEC("fmod_ret/x") int modify(u64 *ctx) {
    if (!is_ours()) return 0;
    COUNT(2);
    return -1;
}
SEC("lsm/x") int hook(u64 *ctx) {
    if (!is_ours()) return 0;
    COUNT(3);
    return -1;
}
"""
FUNCTION = "security_task_getpgid"


@pytest.fixture
def loaded() -> Iterator[Object]:
    spec = compile_c(SOURCE)
    assert spec.programs == {"probe": "kprobe", "on_return": "kretprobe", "modify": "fmod_ret", "hook": "lsm"}
    spec.set_global("target_pid", os.getpid())
    with spec.load({}) as made:
        yield made


def counts(loaded: Object) -> list[int]:
    return [int(loaded.map("counts").lookup(index)) for index in range(4)]


def test_one_program_at_entry_and_at_return(loaded: Object, needs: Callable[..., None]) -> None:
    loaded.load_program("probe")
    loaded.load_program("on_return")
    needs(lambda: loaded.attach_kprobe("probe", FUNCTION).close(), since=(4, 17), option="CONFIG_KPROBES")
    with (
        loaded.attach_kprobe("probe", FUNCTION) as entry,
        loaded.attach_kprobe("probe", FUNCTION, at_return=True) as back,
        loaded.attach_kprobe("on_return", FUNCTION) as by_section,
    ):
        assert [entry.kind, back.kind, by_section.kind] == ["kprobe", "kretprobe", "kretprobe"]
        for _ in range(101):
            os.getpgid(os.getpid())
    os.getpgid(os.getpid())
    assert counts(loaded) == [202, 101, 0, 0]


def test_fmod_ret_changes_what_is_returned(loaded: Object, needs: Callable[..., None]) -> None:
    needs(lambda: loaded.load_program("modify", target=FUNCTION), since=(5, 7))
    with loaded.attach_trampoline("modify") as link:
        assert (link.kind, link.target) == ("fmod_ret", FUNCTION)
        for _ in range(11):
            with pytest.raises(PermissionError):
                os.getpgid(os.getpid())
    assert os.getpgid(os.getpid()) == os.getpgrp()
    assert counts(loaded) == [0, 0, 11, 0]


def test_a_security_hook_decides_where_the_kernel_asks_it(loaded: Object, needs: Callable[..., None]) -> None:
    if _rtrace.function_parameters("bpf_lsm_task_getpgid") is None:
        with pytest.raises(TargetNotFoundError, match="no such hook of the security modules in the kernel's BTF"):
            loaded.load_program("hook", target="task_getpgid")
        return
    needs(lambda: loaded.load_program("hook", target="task_getpgid"), since=(5, 7))
    asked = "bpf" in Path("/sys/kernel/security/lsm").read_text().split(",")
    with loaded.attach_trampoline("hook") as link:
        assert (link.kind, link.target) == ("lsm", "task_getpgid")
        if asked:
            with pytest.raises(PermissionError):
                os.getpgid(os.getpid())
    assert os.getpgid(os.getpid()) == os.getpgrp()
    assert counts(loaded)[3] == int(asked)
