"""Attaching to the kernel's functions and tracepoints."""

from __future__ import annotations

import errno
import os
import warnings

from rtrace import _rtrace
from rtrace.bcc import discovery
from rtrace.bcc.attachments import Attachments
from rtrace.bcc.cpus import possible_cpus
from rtrace.bcc.names import raw, text, utf8
from rtrace.errors import AttachError, NotSupportedError, RtraceError, TargetNotFoundError
from rtrace.shapes import suggestions

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from rtrace.bcc.function import Function
    from rtrace.bcc.names import Name

# Programs on trampolines: bcc's word, the native kind and the prefix of the program's name.
_TRAMPOLINES = {
    "kfunc": ("fentry", "kfunc__"),
    "kretfunc": ("fexit", "kretfunc__"),
    "fmod_ret": ("fmod_ret", "kmod_ret__"),
    "lsm": ("lsm", "lsm__"),
}


def kprobe_place(prefix: str, event: Name) -> bytes:
    """Return bcc's name for a probe: ``p_`` or ``r_`` and the function."""
    return raw(f"{prefix}_{text(event)}".replace("+", "_").replace(".", "_"))


class KernelAttachments(Attachments):
    """kprobes, kretprobes, tracepoints, raw tracepoints, fentry, fexit, fmod_ret and LSM hooks."""

    def attach_kprobe(self, event: Name = b"", event_off: int = 0, fn_name: Name = b"", event_re: Name = b"") -> Self:
        """Run a program at the entry of a kernel function.

        Parameters
        ----------
        event
            The function.
        event_off
            Bytes into the function.
        fn_name
            The program.
        event_re
            Regular expression instead of `event`: all functions that match it from their first character.
        """
        if event_re:
            names = discovery.get_kprobe_functions(event_re)
            self._attach_many("kprobe", event_re, names, lambda name: self.attach_kprobe(name, 0, fn_name))
            return self
        _check_given("kprobe", event)
        program = self.load_func(fn_name, 2)
        link = self._attach_function(program, event, offset=event_off, at_return=False)
        place = text(event) + (f"_0x{event_off:x}" if event_off else "")
        self.loaded.links.add("kprobe", kprobe_place("p", place), program.name, [link])
        return self

    def attach_kretprobe(
        self, event: Name = b"", fn_name: Name = b"", event_re: Name = b"", maxactive: int = 0
    ) -> Self:
        """Run a program at the return of a kernel function.

        Parameters
        ----------
        event, fn_name, event_re
            As in :meth:`attach_kprobe`.
        maxactive
            Calls that can be under way at once without being missed. Only ``kprobe_events`` of tracefs can set it, and
            what is written there outlives a process that is killed; rtrace leaves nothing behind, so the kernel's own
            choice stays: at least one for each possible CPU. Asking for more warns; :meth:`missed` counts.
        """
        if maxactive > possible_cpus():
            message = (
                f"maxactive={maxactive} of kretprobes: left at the kernel's own choice, as probes of "
                "kprobe_events outlive a killed process; missed() tells whether calls were missed"
            )
            warnings.warn(message, UserWarning, stacklevel=2)
        if event_re:
            names = discovery.get_kprobe_functions(event_re)
            self._attach_many("kretprobe", event_re, names, lambda name: self.attach_kretprobe(name, fn_name))
            return self
        _check_given("kretprobe", event)
        program = self.load_func(fn_name, 2)
        link = self._attach_function(program, event, offset=0, at_return=True)
        self.loaded.links.add("kprobe", kprobe_place("r", event), program.name, [link])
        return self

    def _attach_function(self, program: Function, event: Name, *, offset: int, at_return: bool) -> _rtrace.Link:
        try:
            return self.native.attach_kprobe(
                program.program, utf8(event, "function"), offset=offset, at_return=at_return
            )
        except TargetNotFoundError as error:
            functions = discovery.traceable_functions()
            if raw(event) not in functions:
                suggestions.add_to(error, map(text, functions))
            raise

    def missed(self) -> int:
        """Return how many calls kprobes and kretprobes have missed so far, as far as the kernel tells."""
        places = self.loaded.links.of("kprobe").values()
        return sum(link.missed() or 0 for programs in places for links in programs.values() for link in links)

    def _attach_many(self, kind: str, pattern: Name, names: Iterable[bytes], attach: Callable[[bytes], object]) -> None:
        """Attach to everything that was found; some may refuse, but not all."""
        names = list(names)
        self._check_probe_quota(len(names))
        if not names:
            message = f"attach {kind} to `{text(pattern)}`: nothing matches"
            raise TargetNotFoundError(message, kind=kind, target=text(pattern))
        refused: RtraceError | None = None
        attached = 0
        for name in names:
            try:
                attach(name)
                attached += 1
            except AttachError as error:
                # Without this function's frame, which would have the error in turn, and keep the object.
                refused = error.with_traceback(None)
        if not attached:
            message = f"attach {kind} to `{text(pattern)}`: all {len(names)} that match refuse, the last: {refused}"
            raise AttachError(message, kind=kind, target=text(pattern)) from refused

    def detach_kprobe(self, event: Name, fn_name: Name | None = None) -> None:
        """Detach one program from the entry of a function, or all of them."""
        self.detach_kprobe_event_by_fn(kprobe_place("p", event), fn_name)

    def detach_kretprobe(self, event: Name, fn_name: Name | None = None) -> None:
        """Detach one program from the return of a function, or all of them."""
        self.detach_kprobe_event_by_fn(kprobe_place("r", event), fn_name)

    def detach_kprobe_event(self, ev_name: Name) -> None:
        """Detach all programs from a probe by its name in :attr:`kprobe_fds`."""
        self.detach_kprobe_event_by_fn(ev_name, None)

    def detach_kprobe_event_by_fn(self, ev_name: Name, fn_name: Name | None) -> None:
        """Detach a program from a probe by its name in :attr:`kprobe_fds`."""
        self.loaded.links.remove("kprobe", raw(ev_name), raw(fn_name) if fn_name else None)

    def attach_tracepoint(self, tp: Name = b"", tp_re: Name = b"", fn_name: Name = b"") -> Self:
        """Run a program at a tracepoint.

        Parameters
        ----------
        tp
            ``category:name``.
        tp_re
            Regular expression instead: all tracepoints that match it from their first character.
        fn_name
            The program.
        """
        if tp_re:
            names = discovery.get_tracepoints(tp_re)
            self._attach_many("tracepoint", tp_re, names, lambda name: self.attach_tracepoint(name, fn_name=fn_name))
            return self
        category, colon, name = utf8(tp, "tracepoint").partition(":")
        if not colon:
            message = f"a tracepoint is `category:name`, not {text(tp)!r}"
            raise ValueError(message)
        program = self.load_func(fn_name, 5)
        try:
            link = self.native.attach_tracepoint(program.program, category, name)
        except TargetNotFoundError as error:
            suggestions.add_to(error, map(text, discovery.get_tracepoints("")))
            raise
        self.loaded.links.add("tracepoint", raw(tp), program.name, [link])
        return self

    def detach_tracepoint(self, tp: Name = b"") -> None:
        """Detach all programs from a tracepoint."""
        self.loaded.links.remove("tracepoint", raw(tp))

    def attach_raw_tracepoint(self, tp: Name = b"", fn_name: Name = b"") -> Self:
        """Run a program at a raw tracepoint, by its name without a category."""
        program = self.load_func(fn_name, 17)
        try:
            link = self.native.attach_raw_tracepoint(program.program, utf8(tp, "raw tracepoint"))
        except AttachError as error:
            arguments = _rtrace.tracepoint_arguments(text(tp))
            if error.errno == errno.EINVAL and arguments is not None:
                error.hint = f"it has {len(arguments)} arguments here, the program may read more of `ctx->args`"
            raise
        self.loaded.links.add("raw tracepoint", raw(tp), program.name, [link])
        return self

    def detach_raw_tracepoint(self, tp: Name = b"") -> None:
        """Detach all programs from a raw tracepoint."""
        self.loaded.links.remove("raw tracepoint", raw(tp))

    def attach_kfunc(self, fn_name: Name = b"") -> Self:
        """Run a program made by ``KFUNC_PROBE`` at the entry of its function."""
        return self._attach_trampoline("kfunc", fn_name)

    def attach_kretfunc(self, fn_name: Name = b"") -> Self:
        """Run a program made by ``KRETFUNC_PROBE`` at the exit of its function."""
        return self._attach_trampoline("kretfunc", fn_name)

    def attach_fmod_ret(self, fn_name: Name = b"") -> Self:
        """Run a program made by ``KMOD_RET`` before its function, which it may keep from running."""
        return self._attach_trampoline("fmod_ret", fn_name)

    def attach_lsm(self, fn_name: Name = b"") -> Self:
        """Run a program made by ``LSM_PROBE`` at its hook of the security modules."""
        return self._attach_trampoline("lsm", fn_name)

    def _attach_trampoline(self, kind: str, fn_name: Name) -> Self:
        native_kind, prefix = _TRAMPOLINES[kind]
        name = self._trampoline(prefix, fn_name)
        # The programs that construction attached are asked for once more by some scripts.
        if raw(name) in self.loaded.links.of(kind):
            return self
        target = name.removeprefix(prefix)
        if kind == "lsm":
            _check_hooks_are_asked(name)
        else:
            target = without_module(target)
        # Loaded, it stays so when it is detached.
        if raw(name) not in self.funcs:
            self._load(name, native_kind, target)
        self.loaded.links.add(kind, raw(name), raw(name), [self.native.attach_trampoline(name)])
        return self

    def _trampoline(self, prefix: str, fn_name: Name) -> str:
        """Return the name of a program, given with its prefix and its function's module or without."""
        rest = text(fn_name).removeprefix(prefix)
        whole = f"{prefix}vmlinux__{rest}"
        return whole if whole in self.native.program_names else f"{prefix}{rest}"

    def detach_kfunc(self, fn_name: Name = b"") -> None:
        """Detach a program of :meth:`attach_kfunc`."""
        self._detach_trampoline("kfunc", fn_name)

    def detach_kretfunc(self, fn_name: Name = b"") -> None:
        """Detach a program of :meth:`attach_kretfunc`."""
        self._detach_trampoline("kretfunc", fn_name)

    def detach_fmod_ret(self, fn_name: Name = b"") -> None:
        """Detach a program of :meth:`attach_fmod_ret`."""
        self._detach_trampoline("fmod_ret", fn_name)

    def detach_lsm(self, fn_name: Name = b"") -> None:
        """Detach a program of :meth:`attach_lsm`."""
        self._detach_trampoline("lsm", fn_name)

    def _detach_trampoline(self, kind: str, fn_name: Name) -> None:
        name = raw(self._trampoline(_TRAMPOLINES[kind][1], fn_name))
        self.loaded.links.remove(kind, name)


def _check_given(kind: str, event: Name) -> None:
    if not event:
        message = f"attach {kind}: no function given, neither as event nor as event_re"
        raise ValueError(message)


def without_module(target: str) -> str:
    """Return the function of ``module__function``; other functions, too, have two underscores in their names."""
    module, separator, function = target.partition("__")
    is_module = module == "vmlinux" or os.path.exists(f"/sys/kernel/btf/{module}")
    return function if module and separator and is_module else target


def _check_hooks_are_asked(program: str) -> None:
    """Raise where the kernel would load and attach a hook, and never ask it."""
    try:
        with open("/sys/kernel/security/lsm", encoding="ascii") as file:
            modules = file.read().strip()
    except OSError:
        return  # securityfs is not mounted: unknown
    if "bpf" not in modules.split(","):
        message = f"attach lsm `{program}`: the kernel's security modules are {modules}, without bpf: it is never asked"
        hint = f"boot with lsm={modules},bpf"
        raise NotSupportedError(message, feature="programs as hooks of the security modules", hint=hint)
