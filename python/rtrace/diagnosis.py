"""What of tracing works on this machine, and what to do about the rest; the checks are in ``diagnosis_checks``."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from rtrace import _rtrace
from rtrace.diagnosis_checks import Examination, judge

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

    from rtrace.diagnosis_checks import State

__all__ = ["Diagnosis", "Finding", "doctor"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What it is: ``"kernel"``, ``"fentry"``, ``"lockdown"``...
    state : str
        ``"ok"``; ``"missing"``, the kernel has no such thing; ``"refused"``, it has but does not let us; or
        ``"unknown"``, it could not be found out.
    detail : str
        What was found.
    remedy : str
        What to do about it, or what rtrace does without; empty when nothing needs doing.
    """

    name: str
    state: State
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis:
    """What :func:`doctor` found; print it, or look into `findings`.

    Attributes
    ----------
    host, kernel : str
        Name of the machine and release of its kernel.
    mechanism : str or None
        How a function would be timed here (``"fentry"``, ``"kprobe"``, ``"syscall"``), or None if in no way.
    findings : tuple of Finding
        All that was looked at.
    """

    host: str
    kernel: str
    mechanism: str | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether anything can be traced: system calls, if not functions."""
        return self.mechanism is not None

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of that name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects that fit JSON."""
        return {
            "ok": self.ok,
            "host": self.host,
            "kernel": self.kernel,
            "rtrace": _rtrace.__version__,
            "mechanism": self.mechanism,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        """Return a table below 80 columns."""
        from rtrace.display.doctor_text import format_diagnosis  # noqa: PLC0415  # not for those who want the facts

        return format_diagnosis(self)

    def __repr__(self) -> str:
        """Name the thing in one line."""
        troubles = sum(finding.state != "ok" for finding in self.findings)
        return f"<Diagnosis ok={self.ok} mechanism={self.mechanism} findings={len(self.findings)} troubles={troubles}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # Where there is no HTML, in a terminal or a text export, the table says more than the name; HTML is added.
        return {"text/plain": str(self)}

    def _repr_html_(self) -> str:
        from rtrace.display.doctor_html import diagnosis_html  # noqa: PLC0415  # only notebooks need it

        return diagnosis_html(self)


def doctor() -> Diagnosis:
    """Find out what of tracing works here.

    Loads and attaches rtrace's programs to ``vfs_read`` for a moment, in every way it knows, and reads what the
    kernel tells about its guards. Changes nothing, and mounts nothing that anyone else could see.

    Returns
    -------
    Diagnosis
        Its ``ok`` says whether anything can be traced, its ``findings`` what works and what does not; ``print`` it.

    Notes
    -----
    Needs no privilege to run; without, most of what it finds is ``"refused"``.

    Examples
    --------
    >>> print(rtrace.doctor())  # doctest: +SKIP
    """
    examination = Examination()
    findings = tuple(Finding(name, *judge(check)) for name, check in examination.checks().items())
    machine = os.uname()
    return Diagnosis(machine.nodename, machine.release, examination.chosen, findings)
