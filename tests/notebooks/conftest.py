"""What the tests in Jupyter kernels need: a kernel, privilege, and nothing left behind in Linux's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel import kernel_objects
from tests.kernel.conftest import FORCED
from tests.notebooks.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a kernel of its own does to descriptors and warnings of this process is no business of rtrace's.
KINDS = ("programs", "maps", "links", "probes", "mounts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, and skip them where they cannot run, unless they must."""
    for item in items:
        if "tests/notebooks/" in item.nodeid:
            item.add_marker(pytest.mark.kernel)
            if os.geteuid() != 0 and not FORCED:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def before() -> dict[str, frozenset[object]]:
    """Return what was in Linux's kernel before the test."""
    return kernel_objects.survey()


@pytest.fixture
def kernel(before: dict[str, frozenset[object]]) -> Iterator[Kernel]:
    """Return a Jupyter kernel with rtrace imported; at the end nothing may be left behind."""
    with Kernel() as started:
        assert started.run("import rtrace").status == "ok"
        yield started
    assert kernel_objects.left_behind(before) == {}
