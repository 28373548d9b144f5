"""Every error and warning of rtrace, each also the built-in that a Python user expects.

The native extension imports this module and constructs these classes by keyword, so it stays plain: no imports
beyond the standard library, one positional message, facts as keyword-only attributes that all have a default.

A message says the operation, the object in backticks, a colon and the cause: "attach kprobe `fnlat_entry` to
`vfs_raed`: no such symbol in /proc/kallsyms". The way out goes to ``hint``, which a traceback shows on a line of its
own.
"""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing, on the way of every start
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "AttachError",
    "BtfError",
    "ClosedError",
    "CommandError",
    "CompileError",
    "LoadError",
    "LostEventsWarning",
    "MapError",
    "MapKeyError",
    "NotSupportedError",
    "OtherProcessError",
    "PrivilegeError",
    "RtraceError",
    "SymbolError",
    "TargetNotFoundError",
    "TraceFormatError",
    "VerifierError",
]

# What the verifier prints after its verdict, and what it prints while it walks: neither says why it refused.
_STATISTICS = r"processed \d+ insns|verification time|stack depth|max_states_per_insn|func#\d+ @\d+"
_WALK = (
    r"\d+: |; |from \d+ to \d+|R\d+(_w)?=|frame\d+:|mark_precise:|last_idx |regs=|parent |propagating |(cur|old) state:"
)


class RtraceError(Exception):
    """Base of every error that rtrace raises.

    Parameters
    ----------
    message
        Operation, object in backticks, colon, cause; this alone is ``str(error)``.
    hint
        The way out, for people; an uncaught error shows it as a separate line.

    Attributes
    ----------
    hint : str or None
        The way out, or None.

    Examples
    --------
    >>> error = RtraceError("read `/sys/kernel/tracing`: not mounted", hint="run as root")
    >>> str(error), error.hint
    ('read `/sys/kernel/tracing`: not mounted', 'run as root')
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        """Return the message alone."""
        # Not left to the built-in bases: KeyError would print the repr of the message, OSError an errno prefix.
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with all facts."""
        # The facts are keyword-only with defaults, so the message builds the object and the state fills it in.
        return type(self), self.args, vars(self).copy()


class PrivilegeError(RtraceError, PermissionError):
    """The kernel refused for want of a privilege.

    Attributes
    ----------
    errno : int or None
        What the system call returned, usually ``errno.EPERM`` or ``errno.EACCES``.
    missing : tuple of str
        The capabilities or settings that are missing, as ``("CAP_BPF", "CAP_PERFMON")``.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, errno: int | None = None, missing: Iterable[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno
        self.missing = tuple(missing)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with all facts."""
        # OSError keeps errno in a slot of its own, out of sight of vars().
        make, args, state = super().__reduce__()
        return make, args, {**state, "errno": self.errno}


class NotSupportedError(RtraceError):
    """The running kernel, or its configuration, has no such feature.

    Attributes
    ----------
    feature : str or None
        What is missing, in the kernel's words: ``"ring buffer"``, ``"CONFIG_KPROBES"``.
    minimum_kernel : str or None
        First release that has the feature, as ``"5.8"``; None when it is not a matter of the release.
    running_kernel : str or None
        Release of the running kernel.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        feature: str | None = None,
        minimum_kernel: str | None = None,
        running_kernel: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.feature = feature
        self.minimum_kernel = minimum_kernel
        self.running_kernel = running_kernel


class LoadError(RtraceError):
    """An object, or one program of it, could not be loaded into the kernel.

    Attributes
    ----------
    object : str or None
        Name or path of the object.
    program : str or None
        Name of the program, or None when the object as a whole was refused.
    errno : int or None
        What the system call returned.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        object: str | None = None,  # noqa: A002  # the field's own word for it
        program: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.object = object
        self.program = program
        self.errno = errno


class CompileError(LoadError):
    """A program in C does not compile.

    ``str(error)`` says the first error, where it is, and shows the line.

    Attributes
    ----------
    diagnostics : tuple of dict
        What the compiler said, in order: ``file``, ``line`` and ``column`` (from 1; 0 where there is no place),
        ``severity`` (``"error"``, ``"warning"``, ``"note"``) and ``message``. Places are those of the user's own text.
    log : str
        All that the compiler printed; its columns are those of the text that it was given.

    Examples
    --------
    >>> where = {"file": "a.c", "line": 1, "column": 5, "severity": "error", "message": "expected ';'"}
    >>> CompileError("compile `a.c`: a.c:1:5: expected ';'", diagnostics=[where]).diagnostics[0]["line"]
    1
    """

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        message: str,
        *,
        hint: str | None = None,
        object: str | None = None,  # noqa: A002  # the field's own word for it
        program: str | None = None,
        errno: int | None = None,
        diagnostics: Iterable[dict[str, Any]] = (),
        log: str = "",
    ) -> None:
        super().__init__(message, hint=hint, object=object, program=program, errno=errno)
        self.diagnostics = tuple(diagnostics)
        self.log = log


class VerifierError(LoadError):
    """The verifier refused a program.

    ``str(error)`` ends with the line of the log that tells why, and says how many lines it leaves out.

    Attributes
    ----------
    log : tuple of str
        The whole log of the verifier, line by line; also given as one string.

    Examples
    --------
    >>> error = VerifierError("load program `probe`", log=["0: (b7) r0 = 0", "R1 !read_ok", "processed 1 insns"])
    >>> str(error)
    'load program `probe`: R1 !read_ok (2 lines omitted)'
    """

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        message: str,
        *,
        hint: str | None = None,
        object: str | None = None,  # noqa: A002  # the field's own word for it
        program: str | None = None,
        errno: int | None = None,
        log: Iterable[str] = (),
    ) -> None:
        super().__init__(message, hint=hint, object=object, program=program, errno=errno)
        self.log = tuple(log.splitlines() if isinstance(log, str) else log)

    def __str__(self) -> str:
        """Return the message, the telling line of the log and how many lines it leaves out."""
        import re  # noqa: PLC0415  # of use only once a program has been refused

        text = super().__str__()
        said = [line.strip() for line in self.log if line.strip() and not re.match(_STATISTICS, line.strip())]
        if said:
            verdicts = [line for line in said if not re.match(_WALK, line)]
            text += f": {(verdicts or said)[-1]}"
        omitted = len(self.log) - bool(said)
        return f"{text} ({omitted} line{'s' * (omitted != 1)} omitted)" if omitted else text


class AttachError(RtraceError):
    """A program could not be attached.

    Attributes
    ----------
    program : str or None
        Name of the program.
    kind : str or None
        The attach type: ``"kprobe"``, ``"fentry"``, ``"tracepoint"``...
    target : str or None
        What it was to be attached to.
    errno : int or None
        What the system call returned.
    """

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        message: str,
        *,
        hint: str | None = None,
        program: str | None = None,
        kind: str | None = None,
        target: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.program = program
        self.kind = kind
        self.target = target
        self.errno = errno


class TargetNotFoundError(AttachError, LookupError):
    """The function, tracepoint or file to attach to does not exist.

    Attributes
    ----------
    suggestions : tuple of str
        Names that do exist and look alike, best first.
    """

    def __init__(  # noqa: PLR0913  # keyword-only facts
        self,
        message: str,
        *,
        hint: str | None = None,
        program: str | None = None,
        kind: str | None = None,
        target: str | None = None,
        errno: int | None = None,
        suggestions: Iterable[str] = (),
    ) -> None:
        super().__init__(message, hint=hint, program=program, kind=kind, target=target, errno=errno)
        self.suggestions = tuple(suggestions)


class MapError(RtraceError):
    """An operation on a map failed.

    Attributes
    ----------
    map : str or None
        Name of the map.
    errno : int or None
        What the system call returned.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        map: str | None = None,  # noqa: A002  # the field's own word for it
        errno: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.map = map
        self.errno = errno


class MapKeyError(MapError, KeyError):
    """A map has no such key."""


class BtfError(RtraceError):
    """Type information (BTF) is missing, malformed or lacks a type or field that is needed."""


class SymbolError(RtraceError, LookupError):
    """A symbol could not be resolved."""


class TraceFormatError(RtraceError, ValueError):
    """A saved result is truncated, corrupt, of another kind or of a newer version.

    Attributes
    ----------
    path : str or None
        The file, when the data came from one.
    """

    def __init__(self, message: str, *, hint: str | None = None, path: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class ClosedError(RtraceError, ValueError):
    """The session, object, link or reader has been closed."""


class OtherProcessError(RtraceError, RuntimeError):
    """The reader was opened by another process, which this one is a fork of.

    Records go to the process that opened the reader; a child that wants some opens one of its own.

    Attributes
    ----------
    pid : int or None
        The process that it belongs to.
    """

    def __init__(self, message: str, *, hint: str | None = None, pid: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class CommandError(RtraceError):
    """A command of the ``rtrace`` program failed; raised by the command line only.

    Attributes
    ----------
    exit_code : int
        Exit status of the process, 1 unless told.
    """

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class LostEventsWarning(UserWarning):
    """Some events were lost, so the result is not complete; how many and why is part of the result."""
