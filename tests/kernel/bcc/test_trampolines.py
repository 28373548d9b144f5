"""KFUNC_PROBE, KRETFUNC_PROBE, KMOD_RET and LSM_PROBE on a function that runs once for each getpgid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rtrace import _rtrace
from rtrace.bcc import BPF
from rtrace.errors import AttachError, LoadError, NotSupportedError, PrivilegeError, TargetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION = "security_task_getpgid"
FRAME = """
BPF_ARRAY(count, u64, 4);
BPF_ARRAY(seen, u64, 4);
static int is_ours(void) { return bpf_get_current_pid_tgid() >> 32 == %d; }
%s
"""
PROBES = {
    "kfunc": """KFUNC_PROBE(security_task_getpgid, struct task_struct *p)
    {
        if (is_ours()) { count.increment(0); seen.increment(0, p->tgid); }
        return 0;
    }""",
    "kretfunc": """KRETFUNC_PROBE(security_task_getpgid, struct task_struct *p, int ret)
    {
        if (is_ours()) { count.increment(1); seen.increment(1, p->tgid + ret); }
        return 0;
    }""",
    "fmod_ret": """KMOD_RET(security_task_getpgid, struct task_struct *p, int ret)
    {
        if (!is_ours() || ret) return ret;
        count.increment(2);
        return -EPERM;
    }""",
    "lsm": """LSM_PROBE(task_getpgid, struct task_struct *p, int ret)
    {
        if (!is_ours() || ret) return ret;
        count.increment(3);
        return -EPERM;
    }""",
}
NAMES = {
    "kfunc": b"kfunc__vmlinux__security_task_getpgid",
    "kretfunc": b"kretfunc__vmlinux__security_task_getpgid",
    "fmod_ret": b"kmod_ret__vmlinux__security_task_getpgid",
    "lsm": b"lsm__task_getpgid",
}


def load(*kinds: str) -> BPF:
    """Return an object with these programs, attached; where a guard of the machine forbids them, look at what it says.

    In guests a refusal is a failure.
    """
    text = FRAME % (os.getpid(), "\n".join(PROBES[kind] for kind in kinds))
    try:
        return BPF(text=text)
    except PrivilegeError as error:
        if os.environ.get("RTRACE_VM") or error.missing:
            raise
        assert isinstance(error, PermissionError)
        assert any(NAMES[kind].decode() in str(error) for kind in kinds), str(error)
        assert error.hint
        assert BPF.support_kfunc() is False
        pytest.skip(f"{error}; {error.hint}")


def counts(b: BPF) -> list[int]:
    return [leaf.value for leaf in b["count"].values()]


def ask(times: int) -> None:
    for _ in range(times):
        os.getpgid(os.getpid())


@pytest.fixture
def both() -> Iterator[BPF]:
    with load("kfunc", "kretfunc") as b:
        yield b


def test_entry_and_exit_of_a_function(both: BPF) -> None:
    assert BPF.support_kfunc() is True
    ask(11)
    assert counts(both) == [11, 11, 0, 0]
    assert [leaf.value for leaf in both["seen"].values()] == [11 * os.getpid(), 11 * os.getpid(), 0, 0]
    # What construction attached is not attached twice.
    both.attach_kfunc(NAMES["kfunc"]).attach_kretfunc(b"vmlinux__security_task_getpgid")
    ask(3)
    assert counts(both) == [14, 14, 0, 0]


def test_one_is_detached_by_name_and_attached_again(both: BPF) -> None:
    both.detach_kfunc(fn_name=b"vmlinux__security_task_getpgid")
    ask(3)
    assert counts(both) == [0, 3, 0, 0]
    both.detach_kretfunc("kretfunc__vmlinux__security_task_getpgid")
    ask(3)
    assert counts(both) == [0, 3, 0, 0]
    with pytest.raises(AttachError, match="it is not attached there"):
        both.detach_kfunc(b"vmlinux__security_task_getpgid")
    # The function alone names the program, too.
    both.attach_kfunc(fn_name="security_task_getpgid")
    ask(5)
    assert counts(both) == [5, 3, 0, 0]
    with pytest.raises(LoadError, match="no_such_function"):
        both.attach_kfunc(fn_name="no_such_function")


def test_fmod_ret_keeps_a_function_from_running() -> None:
    with load("fmod_ret") as b:
        assert BPF.support_fmod_ret() is True
        for _ in range(7):
            with pytest.raises(PermissionError):
                ask(1)
        assert counts(b) == [0, 0, 7, 0]
        b.detach_fmod_ret(NAMES["fmod_ret"])
        ask(1)
        assert b.attach_fmod_ret(NAMES["fmod_ret"]) is b
        with pytest.raises(PermissionError):
            ask(1)
    ask(1)


def test_a_hook_of_the_security_modules() -> None:
    if _rtrace.function_parameters("bpf_lsm_task_getpgid") is None:
        with pytest.raises(TargetNotFoundError, match="no such hook of the security modules"):
            load("lsm")
        return
    modules = Path("/sys/kernel/security/lsm")
    asked = modules.exists() and "bpf" in modules.read_text().split(",")
    if modules.exists():
        assert BPF.support_lsm() is asked
    if not asked and os.environ.get("RTRACE_VM"):
        # Loaded and attached, it would never be asked, and nobody would know.
        with pytest.raises(NotSupportedError, match="without bpf: it is never asked") as caught:
            load("lsm")
        assert str(caught.value.hint).endswith(",bpf")
        return
    with load("lsm") as b:
        for _ in range(7):
            with pytest.raises(PermissionError):
                ask(1)
        assert counts(b) == [0, 0, 0, 7]
        b.detach_lsm("lsm__task_getpgid")
        ask(1)
        b.attach_lsm(b"task_getpgid")
        with pytest.raises(PermissionError):
            ask(1)
    ask(1)


def test_a_function_that_is_not_there_is_named() -> None:
    text = "KFUNC_PROBE(no_such_function_at_all, int x) { return 0; }"
    with pytest.raises(TargetNotFoundError, match="no_such_function_at_all") as caught:
        BPF(text=text)
    assert isinstance(caught.value, LookupError)
