"""What runs in which guest: no test of a live kernel may be forgotten."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "tests/vm/kernels.toml").read_text())


def test_every_test_file_runs_in_every_guest_or_in_some_or_says_why_not() -> None:
    also = [test for entry in TABLE["kernel"].values() for test in entry["also"]]
    # Of the tests in Jupyter kernels single ones: a guest takes its time to start one.
    single = {test for test in also if "::" in test}
    assert all((ROOT / test.partition("::")[0]).is_file() for test in single)
    listed = [*TABLE["everywhere"], *TABLE["native"], *{test for test in also if test not in single}]
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/kernel").rglob("test_*.py")}
    assert sorted(listed) == sorted(files)
