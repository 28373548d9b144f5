"""The oldest compiler there is around: the verifier accepts what it makes as well as what the newest makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rtrace import ObjectSpec
from rtrace._rtrace import compile_c
from tests.kernel.bcc.test_dialect import CORPUS, TARGETED

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_verifier_accepts_the_corpus_of_clang(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTRACE_CLANG", "clang")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = ObjectSpec.parse(compile_c(path.read_text(), name=str(path)), path.name)
    with spec.load({}) as loaded:
        for name, kind in spec.programs.items():
            if kind not in TARGETED:
                loaded.load_program(name)
