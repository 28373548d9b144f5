"""The doctor: each verdict from made-up kernels, and what is shown of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import rtrace
from rtrace import _rtrace
from rtrace import diagnosis_checks as checks
from rtrace.diagnosis import Diagnosis, Finding, doctor
from rtrace.errors import BtfError, LoadError, MapError, NotSupportedError, PrivilegeError, VerifierError
from rtrace.shapes import mechanisms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = {
    "kernel", "capabilities", "BTF", "fentry", "kprobe", "syscall", "task storage", "ring buffer", "tracefs",
    "kernel symbols", "lockdown", "security modules", "seccomp", "unprivileged bpf", "perf paranoia", "locked memory",
    "cgroup v2", "pid namespace", "C compiler", "auto",
}  # fmt: skip

FINDINGS = (
    Finding("kernel", "ok", "Linux 6.18", ""),
    Finding("fentry", "refused", "load program: " + "not permitted " * 5, "ask <the owner> of this machine"),
    Finding("lockdown", "unknown", "cannot read", ""),
)


def test_a_tracefs_that_is_mounted_and_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        message = "read the format of `a:b` in tracefs: Permission denied"
        raise PrivilegeError(message, missing=["CAP_DAC_READ_SEARCH"], hint="give it CAP_DAC_READ_SEARCH")

    monkeypatch.setattr(checks, "format_text", refuse)
    state, found, remedy = checks.tracefs()
    assert (state, found) == ("refused", "read the format of `a:b` in tracefs: Permission denied")
    assert remedy == "tracepoints and `rtrace functions -v` need it: give it CAP_DAC_READ_SEARCH"


def test_it_runs_here_and_looks_at_everything() -> None:
    found = doctor()
    assert {finding.name for finding in found.findings} == NAMES
    assert {finding.state for finding in found.findings} <= {"ok", "missing", "refused", "unknown"}
    assert found.ok == (found["auto"].state == "ok")
    assert max(map(len, str(found).splitlines())) < 80
    assert json.loads(json.dumps(found.to_dict()))["ok"] == found.ok


def test_the_public_name_is_the_function_even_when_the_module_is_loaded() -> None:
    assert isinstance(rtrace.doctor(), Diagnosis)


def test_as_text() -> None:
    assert (
        str(Diagnosis("vm", "6.18", "syscall", FINDINGS))
        == """\
rtrace works on vm: functions are timed by syscall

kernel            ok       Linux 6.18
fentry            refused  load program: not permitted not permitted not
                           permitted not permitted not permitted
                           -> ask <the owner> of this machine
lockdown          unknown  cannot read"""
    )
    assert str(Diagnosis("vm", "6.18", None, ())).startswith("rtrace cannot trace anything on vm\n")


def test_what_to_do_about_many_is_said_once() -> None:
    findings = [Finding(name, "refused", "not permitted", "ask the owner") for name in ("fentry", "kprobe", "syscall")]
    found = Diagnosis("vm", "6.18", None, (*FINDINGS[:1], *findings))
    for text, arrow in ((str(found), "-> "), (found._repr_html_(), "→ ")):
        assert text.count(f"{arrow}ask the owner") == 1
        assert text.count(f"{arrow}as for fentry") == 2


def test_as_html_and_repr() -> None:
    found = Diagnosis("<vm>", "6.18", "syscall", FINDINGS)
    html = found._repr_html_()
    assert "&lt;vm&gt;" in html
    assert "&lt;the owner&gt;" in html
    assert "<td>✗ refused</td>" in html
    assert repr(found) == "<Diagnosis ok=True mechanism=syscall findings=3 troubles=2>"


def test_as_a_dict() -> None:
    found = Diagnosis("vm", "6.18", None, FINDINGS).to_dict()
    assert (found["ok"], found["mechanism"], found["host"], found["kernel"]) == (False, None, "vm", "6.18")
    assert found["findings"][0] == {"name": "kernel", "state": "ok", "detail": "Linux 6.18", "remedy": ""}
    with pytest.raises(KeyError):
        Diagnosis("vm", "6.18", None, FINDINGS)["nothing"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PrivilegeError("no", missing=["CAP_BPF"], hint="run as root"), "refused"),
        (PrivilegeError("no"), "refused"),
        (NotSupportedError("no", hint="a newer kernel"), "missing"),
        (LoadError("load: invalid argument", errno=22), "unknown"),
        (VerifierError("load", log=["no"]), "unknown"),
        (OSError(5, "Input/output error"), "unknown"),
        (ValueError("odd"), "unknown"),
    ],
)
def test_a_failed_trial_is_never_read_as_missing(error: Exception, state: str) -> None:
    def check() -> Any:
        raise error

    assert checks.judge(check)[0] == state


def test_who_refuses_what_the_capabilities_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def suspects(lockdown: str | None, seccomp: str) -> str:
        monkeypatch.setattr(checks, "_rtrace", SimpleNamespace(lockdown=lambda: lockdown))
        monkeypatch.setattr(checks, "status", lambda _: seccomp)
        return checks.suspects().partition(": ")[2].partition(" refuses")[0]

    assert suspects("none", "0") == "a security module"
    assert suspects("integrity", "0") == "a security module or kernel lockdown (integrity)"
    assert suspects(None, "2") == "a security module or kernel lockdown or a seccomp filter"


def on(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release, nodename="vm"))


@pytest.mark.parametrize(
    ("release", "state"),
    [("6.18.44-fc", "ok"), ("5.10.0-30-amd64", "ok"), ("5.4.0", "missing"), ("7.1+", "ok"), ("odd", "unknown")],
)
def test_the_release_of_the_kernel(monkeypatch: pytest.MonkeyPatch, release: str, state: str) -> None:
    on(release, monkeypatch)
    assert checks.judge(checks.kernel)[0] == state


@pytest.mark.parametrize(
    ("release", "error", "state"),
    [
        ("5.10.0", MapError("create map", map="TASK_STARTS", errno=22), "missing"),
        ("6.1.0", MapError("create map", map="TASK_STARTS", errno=22), "unknown"),
        ("5.10.0", MapError("create map", map="TASK_STARTS", errno=12), "unknown"),
        ("5.11.0", VerifierError("load", errno=22), "missing"),
        ("5.10.0", PrivilegeError("no", missing=["CAP_BPF"]), "refused"),
    ],
)
def test_task_storage(monkeypatch: pytest.MonkeyPatch, release: str, error: Exception, state: str) -> None:
    def load_with(*_: object) -> None:
        raise error

    on(release, monkeypatch)
    monkeypatch.setattr(mechanisms, "load_with", load_with)
    assert checks.judge(checks.task_storage)[0] == state


def test_no_btf_explains_a_failed_fentry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def open_session(*_: object) -> None:
        message = "BTF of `vmlinux`: no such file"
        raise BtfError(message)

    monkeypatch.setattr(mechanisms, "open_session", open_session)
    monkeypatch.setattr(checks, "BTF", str(tmp_path / "vmlinux"))
    assert checks.judge(lambda: checks.Examination().try_mechanism("fentry"))[0] == "missing"
    assert checks.judge(checks.btf)[0] == "missing"
    (tmp_path / "vmlinux").write_bytes(b"")
    assert checks.judge(lambda: checks.Examination().try_mechanism("fentry"))[0] == "unknown"


@pytest.mark.parametrize(
    ("mode", "state"), [(None, "unknown"), ("none", "ok"), ("integrity", "ok"), ("confidentiality", "refused")]
)
def test_lockdown(monkeypatch: pytest.MonkeyPatch, mode: str | None, state: str) -> None:
    monkeypatch.setattr(checks, "_rtrace", SimpleNamespace(lockdown=lambda: mode))
    assert checks.lockdown()[0] == state


@pytest.mark.parametrize(("line", "state"), [("Seccomp:\t0", "ok"), ("Seccomp:\t2", "unknown"), ("Name: x", "unknown")])
def test_seccomp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, state: str) -> None:
    (tmp_path / "status").write_text(f"Umask:\t0022\n{line}\n")
    monkeypatch.setattr(checks, "STATUS", str(tmp_path / "status"))
    assert checks.judge(checks.seccomp)[0] == state


def test_security_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "SECURITY", str(tmp_path))
    assert checks.security_modules()[0] == "unknown"
    (tmp_path / "lsm").write_text("capability,yama,bpf")
    assert checks.security_modules() == ("ok", "capability, yama, bpf", "")


@pytest.mark.parametrize(
    "check", [checks.capabilities, checks.seccomp, checks.unprivileged_bpf, checks.perf_event_paranoid]
)
def test_files_that_are_not_there_are_not_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: Callable[[], checks.Verdict]
) -> None:
    for name in ("STATUS", "SETTINGS", "SECURITY"):
        monkeypatch.setattr(checks, name, str(tmp_path / "nothing"))
    state, detail, _ = checks.judge(check)
    assert state == "unknown"
    assert "nothing" in detail


def test_the_limit_of_old_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    examination = checks.Examination()
    on("5.10.0", monkeypatch)
    assert examination.locked_memory()[0] == "unknown"
    examination._working.append("kprobe")
    assert examination.locked_memory()[0] == "ok"
    on("5.11.0", monkeypatch)
    assert "no limit" in examination.locked_memory()[1]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs privilege to give up")
def test_without_privilege_everything_is_still_told() -> None:
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "rtrace", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("rtrace cannot trace anything on ")
    assert "run as root, or give the interpreter" in done.stdout


def test_the_compiler_is_named_or_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rtrace, "find_compiler", lambda: {"path": "/x/clang", "kind": "clang", "version": "clang 19"})
    assert checks.compiler() == ("ok", "/x/clang: clang 19", "")
    monkeypatch.setattr(_rtrace, "find_compiler", lambda: None)
    state, _, remedy = checks.compiler()
    assert state == "missing"
    assert "rtrace[clang]" in remedy
