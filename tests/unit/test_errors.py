"""Every error once: its built-in base, its facts, its text, its hint, and that it survives pickling."""

from __future__ import annotations

import copy
import errno
import pickle
import traceback
from typing import Any

import pytest

from rtrace import errors

TABLE: list[tuple[type[errors.RtraceError], tuple[type[BaseException], ...], dict[str, Any], dict[str, Any]]] = [
    (errors.RtraceError, (Exception,), {}, {}),
    (
        errors.PrivilegeError,
        (PermissionError, OSError),
        {"errno": errno.EPERM, "missing": ("CAP_BPF",)},
        {"errno": None, "missing": ()},
    ),
    (
        errors.NotSupportedError,
        (),
        {"feature": "ring buffer", "minimum_kernel": "5.8", "running_kernel": "5.4"},
        {"feature": None, "minimum_kernel": None, "running_kernel": None},
    ),
    (
        errors.LoadError,
        (),
        {"object": "a.o", "program": "p", "errno": 22},
        {"object": None, "program": None, "errno": None},
    ),
    (
        errors.CompileError,
        (errors.LoadError,),
        {"object": "a.c", "program": None, "errno": None, "diagnostics": ({"line": 3},), "log": "a.c:3:1: error: x"},
        {"object": None, "program": None, "errno": None, "diagnostics": (), "log": ""},
    ),
    (
        errors.VerifierError,
        (errors.LoadError,),
        {"object": "a.o", "program": "p", "errno": 13, "log": ("R1 !read_ok",)},
        {"object": None, "program": None, "errno": None, "log": ()},
    ),
    (
        errors.AttachError,
        (),
        {"program": "p", "kind": "kprobe", "target": "vfs_read", "errno": 2},
        {"program": None, "kind": None, "target": None, "errno": None},
    ),
    (
        errors.TargetNotFoundError,
        (errors.AttachError, LookupError),
        {"program": "p", "kind": "kprobe", "target": "vfs_raed", "errno": 2, "suggestions": ("vfs_read",)},
        {"program": None, "kind": None, "target": None, "errno": None, "suggestions": ()},
    ),
    (errors.MapError, (), {"map": "STARTS", "errno": 7}, {"map": None, "errno": None}),
    (errors.MapKeyError, (errors.MapError, KeyError), {"map": "STARTS", "errno": 2}, {"map": None, "errno": None}),
    (errors.BtfError, (), {}, {}),
    (errors.SymbolError, (LookupError,), {}, {}),
    (errors.TraceFormatError, (ValueError,), {"path": "a.npz"}, {"path": None}),
    (errors.ClosedError, (ValueError,), {}, {}),
    (errors.OtherProcessError, (RuntimeError,), {"pid": 7}, {"pid": None}),
    (errors.CommandError, (), {"exit_code": 2}, {"exit_code": 1}),
]
MESSAGE = "attach kprobe `x` to `vfs_raed`: it's not there"


@pytest.mark.parametrize(
    ("kind", "bases", "facts", "defaults"), TABLE, ids=lambda value: getattr(value, "__name__", "")
)
class TestEveryError:
    """One row of the table."""

    def test_bases(self, kind: type, bases: tuple[type, ...], facts: object, defaults: object) -> None:
        del facts, defaults
        assert issubclass(kind, (errors.RtraceError, *bases)[0])
        assert all(issubclass(kind, base) for base in bases)

    def test_facts(self, kind: Any, bases: object, facts: dict[str, Any], defaults: dict[str, Any]) -> None:
        del bases
        error = kind(MESSAGE, hint="look again", **facts)
        assert {name: getattr(error, name) for name in facts} == facts
        assert error.hint == "look again"
        bare = kind(MESSAGE)
        assert {name: getattr(bare, name) for name in defaults} == defaults
        assert bare.hint is None

    def test_text(self, kind: Any, bases: object, facts: dict[str, Any], defaults: object) -> None:
        del bases, defaults
        without_log = {name: value for name, value in facts.items() if name != "log"}
        assert str(kind(MESSAGE, hint="look again", **without_log)) == MESSAGE

    def test_hint_is_a_line_of_the_traceback(self, kind: Any, bases: object, facts: object, defaults: object) -> None:
        del bases, facts, defaults
        lines = "".join(traceback.format_exception_only(kind(MESSAGE, hint="look again"))).splitlines()
        assert lines == [f"rtrace.errors.{kind.__name__}: {MESSAGE}", "hint: look again"]
        assert not hasattr(kind(MESSAGE), "__notes__")

    @pytest.mark.parametrize("clone", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])  # noqa: S301
    def test_copies(self, clone: Any, kind: Any, bases: object, facts: dict[str, Any], defaults: object) -> None:
        del bases, defaults
        error = kind(MESSAGE, hint="look again", **facts)
        error.add_note("and another")
        again = clone(error)
        assert type(again) is kind
        assert str(again) == str(error)
        assert again.args == (MESSAGE,)
        assert {name: getattr(again, name) for name in ("hint", *facts)} == {"hint": "look again", **facts}
        assert again.__notes__ == ["hint: look again", "and another"]

    def test_facts_are_documented(self, kind: type, bases: object, facts: dict[str, Any], defaults: object) -> None:
        del bases, defaults
        documented = "".join(base.__doc__ or "" for base in kind.__mro__ if issubclass(base, errors.RtraceError))
        assert all(f"\n    {name} : " in documented or f"\n{name} : " in documented for name in facts)


def test_the_table_has_every_class() -> None:
    listed = {row[0].__name__ for row in TABLE}
    assert listed | {"LostEventsWarning"} == set(errors.__all__)
    assert issubclass(errors.LostEventsWarning, UserWarning)


def test_collections_become_tuples() -> None:
    assert errors.PrivilegeError("x", missing=["CAP_BPF"]).missing == ("CAP_BPF",)
    assert errors.TargetNotFoundError("x", suggestions=["a", "b"]).suggestions == ("a", "b")


LOG = """\
func#0 @0
0: R1=ctx() R10=fp0
; int probe(void *ctx)
0: (79) r1 = *(u64 *)(r1 +8)          ; R1_w=scalar()
1: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'scalar'
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0

"""


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (LOG, "load `p`: R1 invalid mem access 'scalar' (7 lines omitted)"),
        (["R0 !read_ok", "processed 1 insns (limit 1000000)"], "load `p`: R0 !read_ok (1 line omitted)"),
        (["R0 !read_ok"], "load `p`: R0 !read_ok"),
        (["0: (95) exit", "1: (95) exit"], "load `p`: 1: (95) exit (1 line omitted)"),
        (["processed 1 insns"], "load `p` (1 line omitted)"),
        ([], "load `p`"),
    ],
)
def test_verifier_error_shows_the_telling_line(log: list[str] | str, text: str) -> None:
    error = errors.VerifierError("load `p`", log=log)
    assert str(error) == text
    assert error.log == tuple(log.splitlines() if isinstance(log, str) else log)
