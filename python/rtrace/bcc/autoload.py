"""Attaching programs by the prefixes of their names, as an object is made."""

from __future__ import annotations

from rtrace.bcc.discovery import fix_syscall_fnname
from rtrace.bcc.names import raw

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrace.bcc.bpf import BPF


def _kprobe(bpf: BPF, program: str, rest: str) -> None:
    bpf.attach_kprobe(event=fix_syscall_fnname(rest), fn_name=program)


def _kretprobe(bpf: BPF, program: str, rest: str) -> None:
    bpf.attach_kretprobe(event=fix_syscall_fnname(rest), fn_name=program)


def _tracepoint(bpf: BPF, program: str, rest: str) -> None:
    bpf.attach_tracepoint(tp=rest.replace("__", ":", 1), fn_name=program)


def _raw_tracepoint(bpf: BPF, program: str, rest: str) -> None:
    bpf.attach_raw_tracepoint(tp=rest, fn_name=program)


_WAYS: dict[str, Callable[[BPF, str, str], object]] = {
    "kprobe__": _kprobe,
    "kretprobe__": _kretprobe,
    "tracepoint__": _tracepoint,
    "raw_tracepoint__": _raw_tracepoint,
    "kfunc__": lambda bpf, program, _: bpf.attach_kfunc(raw(program)),
    "kretfunc__": lambda bpf, program, _: bpf.attach_kretfunc(raw(program)),
    "kmod_ret__": lambda bpf, program, _: bpf.attach_fmod_ret(raw(program)),
    "lsm__": lambda bpf, program, _: bpf.attach_lsm(raw(program)),
}


def attach_by_prefix(bpf: BPF) -> None:
    """Attach every program whose name says to what; returns before entries, so that no start goes unanswered."""
    for program in sorted(bpf.native.program_names, key=lambda name: (not name.startswith("kret"), name)):
        for prefix, attach in _WAYS.items():
            if program.startswith(prefix):
                attach(bpf, program, program.removeprefix(prefix))
