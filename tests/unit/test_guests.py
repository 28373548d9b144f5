"""What runs in which guest: no test of a live kernel may be forgotten."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "tests/vm/kernels.toml").read_text())


def test_every_test_file_runs_in_every_guest_or_in_one() -> None:
    listed = [*TABLE["everywhere"], *(file for entry in TABLE["kernel"].values() for file in entry["also"])]
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/kernel").rglob("test_*.py")}
    assert sorted(listed) == sorted(files)
