"""Whom to measure: what is refused before anything is attached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtrace.shapes import targets


@pytest.mark.parametrize("cgroup", ["", b""])
def test_no_cgroup_is_not_the_root(cgroup: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(targets, "unified_root", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="cgroup must be a path or the id of a cgroup, not empty"):
        targets.Tasks(None, None, cgroup)
    assert Path(targets.find_cgroup("/")) == tmp_path
